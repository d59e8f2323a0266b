"""HTTP out: the guarded transport to providers, and its sandbox."""
