"""Processes: the supervisor of `hub up`, and the signals that end a process."""
