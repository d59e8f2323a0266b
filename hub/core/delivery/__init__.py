"""The delivery ledger: what is due, the lane it goes over, the call, and an outcome that is known.

What is not known is in doubt aloud, until evidence or a person settles it.
"""
