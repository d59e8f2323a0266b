"""Events after they are stored, outside the inbound request.

They are projected, completed, copied, parsed again or matched again. Backfill looks for events
that no webhook brought.
"""
