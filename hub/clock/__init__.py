"""The clock process: sweeps every few seconds, and starts what runs beside the sweep."""
