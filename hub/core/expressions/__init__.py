"""Conditions and templates, and the sandbox that limits their work."""
