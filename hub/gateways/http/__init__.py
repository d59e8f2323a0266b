"""Outbound HTTP: the guarded transport to providers, its SSRF guard, and the sandbox."""
