"""Event types that report on the hub's own messages: status callbacks, and replies about a lead.

Pure predicates over an event's type and data, so that `inbound`, `delivery` and `leads` need not
import each other.
"""

from collections.abc import Mapping
from typing import Any

# Rank of each status of a message; a delivery's status never goes back to a lower rank.
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
# Reply texts that acknowledge a lead.
REPLIES = frozenset({"1", "ok", "yes"})
# `yes` re-subscribes to some providers' numbers; such a reply arrives as an opt-in event.
REPLY_TYPES = ("sms.received", "sms.opted_in")


def is_status_callback(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event may report the status of a message that the hub sent."""
    return event_type in STATUS_ORDER and ("hub_attempt" in data or "message_id" in data)


def is_acknowledgement_reply(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event is a text message that consists of `1`, `ok` or `yes` only."""
    body = data.get("body")
    if event_type not in REPLY_TYPES or not isinstance(body, str):
        return False
    return body.strip().rstrip(".!").casefold() in REPLIES


def is_feedback(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event may be a status callback or the acknowledgement of a lead."""
    return is_status_callback(event_type, data) or is_acknowledgement_reply(event_type, data)
