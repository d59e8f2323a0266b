"""Event Streams: JSON batches of CloudEvents, from every product of Twilio.

https://www.twilio.com/docs/events/webhook-quickstart
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.fields import external_id, utc_from_text
from adapters.contract.strict_json import read_json
from adapters.twilio.facts import Fact

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", re.ASCII)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def read_stream(body: bytes, received_at: datetime) -> Sequence[tuple[Fact, Mapping[str, Any]]]:
    """Return the events of a batch as pairs of the parsed fact and its own JSON.

    Raises:
        Unreadable: the body is not a list of CloudEvents, or one of them cannot be read.
    """
    batch = read_json(body)
    items = batch if isinstance(batch, list) else [batch]
    if not items:
        raise Unreadable("an Event Streams batch has at least one event")
    return [(_fact(item, received_at), item) for item in items]


def _fact(item: Any, received_at: datetime) -> Fact:
    if not isinstance(item, dict) or "specversion" not in item:
        raise Unreadable("JSON from Twilio must be CloudEvents, as Event Streams sends them")
    native_type = item.get("type")
    if not isinstance(native_type, str) or not _TYPE.fullmatch(native_type):
        raise Unreadable("type must be a dotted name of at most 100 characters")
    return Fact(
        native_type,
        external_id(item.get("id"), "id"),
        _occurred_at(item, received_at),
        {},
        sha256(_ENCODER.encode(item).encode("ascii")).digest(),
    )


def _occurred_at(item: Mapping[str, Any], received_at: datetime) -> datetime:
    if "time" in item:
        return utc_from_text(item["time"], "time")
    inner = item.get("data")
    if isinstance(inner, dict) and "timestamp" in inner:
        return utc_from_text(inner["timestamp"], "data.timestamp")
    return received_at
