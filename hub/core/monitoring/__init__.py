"""Monitoring: alerts, heartbeats, metrics, and the health of each source."""
