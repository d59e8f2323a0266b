"""Conditions and templates, and the sandbox that keeps them small."""
