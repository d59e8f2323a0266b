"""Twilio: SMS, MMS, WhatsApp and telephone calls."""
