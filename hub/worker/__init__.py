"""The worker process: drains lanes of due deliveries, by a wake-up from RQ."""
