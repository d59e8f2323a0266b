"""Samples of Calendly's webhooks, each with ids and times of its own."""

import json
from datetime import datetime, timedelta

from adapters.contract.fields import rfc3339

SAMPLE_TYPES = ("invitee.created", "invitee.canceled")

_API = "https://api.calendly.com"


def sample_body(native_type: str, external_id: str, now: datetime) -> bytes:
    """Return the body as Calendly would send it: a meeting two days after `now`, paid for.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        raise LookupError(f"no sample of {native_type}; there are: {', '.join(SAMPLE_TYPES)}")
    cancelled = native_type == "invitee.canceled"
    meeting = f"{_API}/scheduled_events/{external_id}"
    starts_at = now.replace(microsecond=0) + timedelta(days=2)
    payload = {
        "uri": f"{meeting}/invitees/{external_id}",
        "event": meeting,
        "email": "jane.doe@example.com",
        "name": "Jane Doe",
        "first_name": None,
        "last_name": None,
        "text_reminder_number": "+1 202-555-0123",
        "timezone": "America/New_York",
        "status": "canceled" if cancelled else "active",
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "no_show": None,
        "payment": {"amount": 42.5, "currency": "USD", "provider": "stripe", "successful": True},
        "scheduled_event": {
            "uri": meeting,
            "name": "Roof inspection",
            "start_time": rfc3339(starts_at),
            "end_time": rfc3339(starts_at + timedelta(minutes=30)),
            "status": "canceled" if cancelled else "active",
        },
        "created_at": rfc3339(now),
        "updated_at": rfc3339(now),
    }
    envelope = {
        "created_at": rfc3339(now),
        "created_by": f"{_API}/users/00000000",
        "event": native_type,
        "payload": payload,
    }
    return json.dumps(envelope, separators=(",", ":")).encode("ascii")
