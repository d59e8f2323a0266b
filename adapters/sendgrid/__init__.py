"""Twilio SendGrid: what becomes of e-mails, and sending them."""
