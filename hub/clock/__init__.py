"""Clock process: sweeps every few seconds, and starts background tasks beside the sweep."""
