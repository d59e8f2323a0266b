"""Thin events (`v2.core.event`): webhooks without data; event and object are to be fetched.

**Docs**: https://docs.stripe.com/event-destinations#thin-events ·
https://docs.stripe.com/api/v2/core/events/object
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import external_id, text, utc_from_text
from adapters.stripe import facts
from adapters.stripe.native_types import NATIVE_TYPES
from adapters.stripe.payload_access import at, cause_of

_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,100}")


def thin_event(
    envelope: Mapping[str, Any], native_type: str, *, live: bool, fingerprint: bytes
) -> Event:
    """Return the incomplete event of a thin webhook.

    Raises:
        Unreadable: the id or the time is invalid.
    """
    event_id = external_id(envelope.get("id"), "id")
    context = text(envelope.get("context"))
    account = account_of(context)
    caused_by = cause_of(at(envelope, "reason", "request"), native_type, {})
    return Event(
        type=NATIVE_TYPES.get(native_type, f"stripe.{native_type}"),
        native_type=native_type,
        external_id=event_id,
        occurred_at=utc_from_text(envelope.get("created"), "created"),
        data={"native": envelope, **({"account": account} if account else {}), **caused_by},
        live=live,
        fingerprint=fingerprint,
        incomplete=True,
        fetch={"event_id": event_id, **({"context": context} if context else {})},
    )


def complete(event: Event, found: Mapping[str, Any]) -> Event:
    """Return the event completed with `found`: the fetched `event`, and its `object` or None.

    With a canonical type, `native` is the object, as in a snapshot event; with any other type it
    is the fetched event, whose `related_object` is replaced by the object.

    Raises:
        Unreadable: a different event was fetched, or its object cannot be read.
    """
    fetched, native = found.get("event"), found.get("object")
    if not isinstance(fetched, dict) or fetched.get("id") != event.external_id:
        raise Unreadable("event is not the one that was to be fetched")
    data = {name: value for name, value in event.data.items() if name != "native"}
    if not isinstance(native, dict):
        return replace(event, data={**data, "native": fetched}, incomplete=False)
    read = facts.READERS.get(event.type)
    if read is None:
        data["native"] = {**fetched, "related_object": native}
    else:
        data |= {**read(native, {}), "native": native}
    return replace(event, data=data, incomplete=False)


def account_of(value: Any) -> str | None:
    """Return the value if it is the id of a connected account (`acct_...`), else None."""
    return value if isinstance(value, str) and _ACCOUNT.fullmatch(value) else None
