"""Webhooks from senders that follow Standard Webhooks, Svix among them."""
