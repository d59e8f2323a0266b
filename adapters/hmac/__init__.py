"""Webhooks from any sender that signs with a shared secret, described by settings alone."""
