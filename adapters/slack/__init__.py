"""Slack, for messages to the team."""
