"""Replays of many deliveries: chosen by a filter, previewed, let go at a rate, watched."""
