"""Queries: the read side, for the dashboard and the command line alike."""
