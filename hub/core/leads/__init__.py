"""Leads: spam scoring and holding, assignment to owners, acknowledgement and escalation."""
