"""Null-safe accessors for Stripe's JSON objects: no field is assumed to exist."""

from collections.abc import Callable
from typing import Any

from adapters.contract.fields import text


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
