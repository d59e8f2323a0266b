"""Calendly: bookings created, rescheduled and cancelled."""
