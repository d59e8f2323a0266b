"""Worker process: drains lanes of due deliveries after a wake-up (RQ job)."""
