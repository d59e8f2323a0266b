"""Senders that follow Standard Webhooks, Svix among them."""
