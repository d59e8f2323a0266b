"""Twilio SendGrid: sending e-mails, and events about them."""
