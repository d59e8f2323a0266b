"""Signature schemes of providers; each module verifies and signs."""
