"""Conversion of batch items to e-mail events, with the field names of all providers.

A field that SendGrid did not give is absent.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import email_address, external_id, is_id, text, utc_from_epoch
from adapters.sendgrid.batches import Spoiled

NATIVE_TYPES = {
    "processed": "email.processed",
    "deferred": "email.deferred",
    "delivered": "email.delivered",
    "bounce": "email.bounced",
    "dropped": "email.dropped",
    "open": "email.opened",
    "click": "email.clicked",
    "spamreport": "email.spam_reported",
    "unsubscribe": "email.unsubscribed",
    "group_unsubscribe": "email.unsubscribed",
    "group_resubscribe": "email.resubscribed",
}
# Exceptions to `NATIVE_TYPES` for a `bounce`, by its `type`.
BOUNCES = {"blocked": "email.deferred"}

UNREADABLE = "unreadable"

_FACT_FIELDS = ("sg_message_id", "event", "email", "timestamp", "url", "attempt", "asm_group_id")
_TYPE_LENGTH = 100
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ATTEMPT = re.compile(rf"({_UUID})\.[0-9]{{1,9}}", re.ASCII)
_encode: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def event_of(item: Any, received_at: datetime) -> Event:
    """Return the event of a batch item.

    An item that cannot be read becomes an event of type `sendgrid.unreadable` with the time of
    receipt: its `data` has the `reason`, and `native.item` if the item is not an object.
    """
    if isinstance(item, Spoiled):
        return _unreadable({"item": item.text}, item.reason, received_at)
    if not isinstance(item, dict):
        reason = f"an event is a JSON object, not {type(item).__name__}"
        return _unreadable({"item": item}, reason, received_at)
    try:
        return _event(item)
    except Unreadable as fault:
        return _unreadable(item, str(fault), received_at)


def _event(item: Mapping[str, Any]) -> Event:
    native_type = external_id(item.get("event"), "event")
    if len(native_type) > _TYPE_LENGTH:
        raise Unreadable(f"event must have at most {_TYPE_LENGTH} characters")
    kind = NATIVE_TYPES.get(native_type, f"sendgrid.{native_type}")
    if native_type == "bounce" and isinstance(item.get("type"), str):
        kind = BOUNCES.get(item["type"], kind)
    fact_key = _fact_key(item)
    own_id = item.get("sg_event_id")
    # A re-sent batch may have another id.
    lasting = {name: value for name, value in item.items() if name != "sg_event_id"}
    return Event(
        type=kind,
        native_type=native_type,
        external_id=str(own_id) if is_id(own_id) else fact_key or _digest(item).hex(),
        occurred_at=utc_from_epoch(item.get("timestamp"), "timestamp"),
        data=_email(item, native_type),
        fact_key=fact_key,
        fingerprint=_digest(lasting),
    )


def _unreadable(native: Mapping[str, Any], reason: str, received_at: datetime) -> Event:
    fingerprint = _digest(native)
    return Event(
        type=f"sendgrid.{UNREADABLE}",
        native_type=UNREADABLE,
        external_id=fingerprint.hex(),
        occurred_at=received_at,
        data={"reason": reason, "native": native},
        fingerprint=fingerprint,
    )


def _fact_key(item: Mapping[str, Any]) -> str | None:
    """Return the fact key, which is independent of the id; None if the e-mail is not identified."""
    if item.get("sg_message_id") is None and item.get("email") is None:
        return None
    return _digest([item.get(name) for name in _FACT_FIELDS]).hex()


def _email(item: Mapping[str, Any], native_type: str) -> dict[str, Any]:
    reason = item.get("reason")
    if native_type == "deferred" and reason is None:
        reason = item.get("response")
    attempt, delivery_id = _attempt(item.get("hub_attempt"))
    machine = item.get("sg_machine_open")
    given = {
        "email": email_address(item.get("email")),
        "message_id": _message_id(item.get("sg_message_id")),
        "reason": text(reason),
        "url": text(item.get("url")),
        "machine": machine if isinstance(machine, bool) else None,
        "delivery_id": delivery_id,
        "hub_attempt": attempt,
        "native": item,
    }
    return {name: value for name, value in given.items() if value is not None}


def _message_id(value: Any) -> str | None:
    """Return the `X-Message-Id` of the send: the text before the first dot."""
    return text(value.strip().partition(".")[0]) if isinstance(value, str) else None


def _attempt(value: Any) -> tuple[str | None, str | None]:
    """Return the returned token and its delivery's id, or (None, None) if it has another form."""
    found = _ATTEMPT.fullmatch(value) if isinstance(value, str) else None
    return (found[0], found[1]) if found else (None, None)


def _digest(value: Any) -> bytes:
    # The text is ASCII (surrogates stay escaped), so any content of the strings can be encoded.
    return sha256(_encode(value).encode("ascii")).digest()
