"""Delivery ledger: due deliveries, lanes, claims, attempts, and outcomes.

An outcome that is not known is recorded as unknown, until evidence or a person settles it.
"""
