"""Null-safe accessors for Stripe's JSON objects: no field is assumed to exist."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.fields import text

# Metadata key of what the hub makes; its value is the key of the delivery.
STAMP = "hub_delivery"

# The key of a delivery, or of a step of one: its id (RFC 9562, version 7), then a number or a name.
_KEY = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(?:\.[a-z0-9.]{1,40})?",
    re.ASCII,
)


def cause_of(request: Any, native_type: str, native: Mapping[str, Any]) -> dict[str, str]:
    """Return `delivery_id` if an event reports on a call of the hub, else nothing.

    `request` is the request at Stripe that caused the event: it has the idempotency key of the
    call. A customer is made under a key of the address instead, so that the stamp of what was just
    created counts too; afterwards others may have changed it.
    """
    keys = [at(request, "idempotency_key")]
    if native_type.endswith(".created"):
        keys.append(at(native, "metadata", STAMP))
    found = (_KEY.fullmatch(key) for key in keys if isinstance(key, str))
    return next(({"delivery_id": key[1]} for key in found if key), {})


def metadata_of(native: Any) -> dict[str, Any] | None:
    """Return the object's `metadata`, or None if it is absent, empty or not a mapping."""
    metadata = at(native, "metadata")
    return metadata if isinstance(metadata, dict) and metadata else None


def id_of(value: Any) -> str | None:
    """Return the id of a reference, which Stripe gives as an id or as the expanded object."""
    return text(at(value, "id") if isinstance(value, dict) else value)


def at(node: Any, *path: str | int) -> Any:
    """Return the value at a path of keys and list indexes, or None if the path does not exist."""
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


def first(read: Callable[[Any], str | None], *values: Any) -> str | None:
    """Return the first result of `read` on the values that is not None, or None."""
    return next((found for value in values if (found := read(value)) is not None), None)


def given(**data: Any) -> dict[str, Any]:
    """Return the fields whose value is not None."""
    return {name: value for name, value in data.items() if value is not None}
