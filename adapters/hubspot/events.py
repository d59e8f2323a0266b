"""Conversion of webhook items to events, one each; an unreadable item becomes an event too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import external_id, is_id, text, utc_from_epoch
from adapters.contract.strict_json import digest

NATIVE_TYPES = {
    "contact.creation": "contact.created",
    "contact.propertyChange": "contact.changed",
    "contact.deletion": "contact.deleted",
    "contact.privacyDeletion": "contact.deleted",
    "deal.creation": "deal.created",
    "deal.propertyChange": "deal.changed",
}

IGNORED_TYPES = {
    "contact.associationChange": "it links two objects and changes neither",
    "contact.merge": "it names two contacts; what it changed comes as contact.propertyChange",
    "contact.restore": "there is no word for a contact that comes back",
    "deal.associationChange": "it links two objects and changes neither",
    "deal.deletion": "there is no word for a deal that is deleted",
    "deal.merge": "it names two deals; what it changed comes as deal.propertyChange",
    "deal.restore": "there is no word for a deal that comes back",
    "unreadable": "an item of which no event can be made; the others of its batch are events",
}

# By `objectTypeId`: the subject of `object.creation` and the other `object` types.
SUBJECTS = {"0-1": "contact", "0-3": "deal"}

# By subject: the name of its objects in the API.
OBJECTS = {"contact": "contacts", "deal": "deals"}

_TYPE_LENGTH = 100
_PART = re.compile(r"[A-Za-z0-9_.>-]{0,100}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class EchoFilter:
    """Filter for the hub's own writes and accounts: the id of its app, and portals (empty: all)."""

    app_id: int | None = None
    portals: frozenset[int] = frozenset()

    def wrote(self, item: Mapping[str, Any]) -> bool:
        """Return whether the item reports a write of the hub's own app, an echo."""
        if self.app_id is None or item.get("changeSource") != "INTEGRATION":
            return False
        return str(self.app_id) in _NUMBER.findall(str(item.get("sourceId")))

    def has(self, item: Mapping[str, Any]) -> bool:
        """Return whether the item comes from one of the configured accounts."""
        portal = item.get("portalId")
        return not self.portals or (type(portal) is int and portal in self.portals)


def read_item(item: Any, received_at: datetime, ours: EchoFilter) -> Event:
    """Return the item's event, or `hubspot.unreadable` with a `reason` if it cannot be read."""
    try:
        return _event(item, ours)
    except Unreadable as fault:
        return _unreadable(item, str(fault), received_at)


def _event(item: Any, ours: EchoFilter) -> Event:
    if not isinstance(item, dict):
        raise Unreadable(f"an item must be an object, not {type(item).__name__}")
    native_type = _native_type(item)
    kind = _canonical_type(native_type, item) if ours.has(item) else None
    object_id = _object_id(item)
    if kind and object_id is None:
        raise Unreadable("objectId must be a number of at most 20 digits")
    echo = ours.has(item) and ours.wrote(item)
    fetch = None if echo else _fetch(kind, object_id)
    return Event(
        type=kind or f"hubspot.{native_type}",
        native_type=native_type,
        external_id=_external_id(item),
        occurred_at=_occurred_at(item),
        data=_data(kind, object_id, item),
        fact_key=_fact_key(kind, object_id, item),
        fingerprint=_fingerprint(item),
        incomplete=fetch is not None,
        fetch=fetch,
        echo=echo,
    )


def _unreadable(item: Any, reason: str, received_at: datetime) -> Event:
    fingerprint = _fingerprint(item)
    return Event(
        type="hubspot.unreadable",
        native_type="unreadable",
        external_id=f"unreadable:{fingerprint.hex()}",
        occurred_at=received_at,
        data={"reason": reason} | ({} if item is None else {"native": item}),
        fingerprint=fingerprint,
    )


def _native_type(item: Mapping[str, Any]) -> str:
    name = "subscriptionType" if "subscriptionType" in item else "eventType"
    native_type = external_id(item.get(name), name)
    if len(native_type) > _TYPE_LENGTH or native_type == "unreadable":
        raise Unreadable(f"{name} must have at most {_TYPE_LENGTH} characters and name an event")
    return native_type


def _canonical_type(native_type: str, item: Mapping[str, Any]) -> str | None:
    subject, _, verb = native_type.partition(".")
    if subject == "object":
        subject = SUBJECTS.get(str(item.get("objectTypeId")), subject)
    return NATIVE_TYPES.get(f"{subject}.{verb}")


def _object_id(item: Mapping[str, Any]) -> str | None:
    value = item.get("objectId")
    written = str(value) if type(value) in (int, str) else ""
    return written if _OBJECT_ID.fullmatch(written) else None


def _occurred_at(item: Mapping[str, Any]) -> datetime:
    value = item.get("occurredAt")
    if type(value) is not int:
        raise Unreadable("occurredAt must be milliseconds since 1970")
    seconds, milliseconds = divmod(value, 1000)
    return utc_from_epoch(seconds, "occurredAt") + timedelta(milliseconds=milliseconds)


def _data(kind: str | None, object_id: str | None, item: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"native": item}
    if object_id is not None:
        data["object_id"] = object_id
    changed = text(item.get("propertyName"))
    if kind in ("contact.changed", "deal.changed") and changed:
        data["changed"] = [changed]
    return data


def _fetch(kind: str | None, object_id: str | None) -> dict[str, str] | None:
    subject, _, verb = (kind or "").partition(".")
    if object_id is None or verb not in ("created", "changed"):
        return None
    return {"object": OBJECTS[subject], "id": object_id}


def _external_id(item: Mapping[str, Any]) -> str:
    """Return an id composed of HubSpot's `eventId`, which is not unique, and five other fields."""
    names = ("portalId", "subscriptionId", "eventId", "objectId", "propertyName", "occurredAt")
    values = [item.get(name) for name in names]
    if values[3] is None and "fromObjectId" in item:
        values[3] = f"{item['fromObjectId']}>{item.get('toObjectId')}"
    parts = [_part(value) for value in values]
    composite = ":".join(part or "" for part in parts)
    if None in parts or not is_id(composite):
        return f"sha256:{digest(values).hex()}"
    return composite


def _fact_key(kind: str | None, object_id: str | None, item: Mapping[str, Any]) -> str | None:
    """Return the fact key, the same under every subscription; a creation's contains no time."""
    portal, changed = _part(item.get("portalId")), _part(item.get("propertyName"))
    if not kind or not portal or changed is None:
        return None
    if kind.endswith(".created"):
        return f"{kind}:{portal}:{object_id}"
    what = f":{changed}" if kind.endswith(".changed") else ""
    return f"{kind}:{portal}:{object_id}{what}:{item['occurredAt']}"


def _part(value: Any) -> str | None:
    """Return a value as part of a key, or None if it would make the key ambiguous."""
    written = "" if value is None else str(value) if type(value) in (int, str) else "?"
    return written if _PART.fullmatch(written) else None


def _fingerprint(item: Any) -> bytes:
    # `attemptNumber` counts up with each re-send.
    if isinstance(item, dict):
        return digest({name: value for name, value in item.items() if name != "attemptNumber"})
    return digest(item)
