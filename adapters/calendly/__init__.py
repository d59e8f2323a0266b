"""Calendly: bookings made, moved and cancelled."""
