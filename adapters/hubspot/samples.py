"""Samples of HubSpot's webhooks: their ids follow from the external id, their time is `now`."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

SAMPLE_TYPES = (
    "contact.creation",
    "contact.propertyChange",
    "contact.deletion",
    "deal.creation",
    "deal.propertyChange",
    "company.creation",
)

_CHANGES = {"contact": ("firstname", "Jane"), "deal": ("dealstage", "closedwon")}
_FLAGS = {"creation": "CREATED", "deletion": "DELETED"}


def sample_body(native_type: str, external_id: str, now: datetime) -> bytes:
    """Return the body as HubSpot would send it: an array with one item.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        known = ", ".join(SAMPLE_TYPES)
        raise LookupError(f"no sample of {native_type}; there are: {known}")
    subject, _, verb = native_type.partition(".")
    item: dict[str, Any] = {
        "eventId": _number(f"event {external_id}"),
        "subscriptionId": 1_234_567,
        "portalId": 12_345_678,
        "appId": 987_654,
        "occurredAt": int(now.timestamp()) * 1000 + now.microsecond // 1000,
        "subscriptionType": native_type,
        "attemptNumber": 0,
        "objectId": _number(f"object {external_id}"),
        "changeSource": "CRM_UI",
        "sourceId": "userId:45678",
    }
    if verb == "propertyChange":
        item["propertyName"], item["propertyValue"] = _CHANGES[subject]
    else:
        item["changeFlag"] = _FLAGS[verb]
    return json.dumps([item], separators=(",", ":")).encode("ascii")


def _number(seed: str) -> int:
    return int.from_bytes(sha256(seed.encode("utf-8", "surrogateescape")).digest()[:5], "big")
