"""Signature schemes: each module can verify and sign."""
