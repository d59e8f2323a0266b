"""Queries of the read side, shared by the dashboard and the command line."""
