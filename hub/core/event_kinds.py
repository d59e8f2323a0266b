"""Event types that report on the hub's own messages: status callbacks and replies to a lead's text.

Pure predicates over a type and its data, so that ingest, deliveries and leads need not import each
other to ask.
"""

from collections.abc import Mapping
from typing import Any

# Rank of each status on a message's way; a delivery's status never goes back to a lower one.
STATUS_ORDER: Mapping[str, int] = {
    "sms.queued": 1,
    "sms.sent": 2,
    "sms.delivered": 3,
    "sms.undelivered": 3,
    "sms.failed": 3,
    "sms.read": 4,
    "email.processed": 1,
    "email.deferred": 2,
    "email.delivered": 3,
    "email.dropped": 3,
    "email.opened": 4,
    "email.clicked": 5,
    "email.bounced": 6,
    "email.unsubscribed": 7,
    "email.spam_reported": 8,
}
# Texts by which a person takes a lead.
REPLIES = frozenset({"1", "ok", "yes"})
# `yes` re-subscribes to some providers' numbers, and then arrives as an opt-in.
REPLY_TYPES = ("sms.received", "sms.opted_in")


def is_status_callback(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event may report the status of a message that the hub sent."""
    return event_type in STATUS_ORDER and ("hub_attempt" in data or "message_id" in data)


def is_acknowledgement_reply(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether a text says no more than `1`, `ok` or `yes`."""
    body = data.get("body")
    if event_type not in REPLY_TYPES or not isinstance(body, str):
        return False
    return body.strip().rstrip(".!").casefold() in REPLIES


def is_feedback(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event may be a status callback or acknowledge a lead."""
    return is_status_callback(event_type, data) or is_acknowledgement_reply(event_type, data)
