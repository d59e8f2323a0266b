"""Bulk replays of deliveries: selected by a filter, previewed, released at a rate, monitored."""
