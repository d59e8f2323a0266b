"""Pipedrive: persons, deals and notes of a CRM."""
