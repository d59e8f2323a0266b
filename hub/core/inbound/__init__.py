"""Inbound requests up to the 2xx: verified, parsed, matched with routes, stored in one write."""
