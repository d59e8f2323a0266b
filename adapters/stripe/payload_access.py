"""How Stripe's objects are looked into: nothing in them is taken for granted."""

from collections.abc import Callable
from typing import Any

from adapters.contract.fields import text


def metadata_of(native: Any) -> dict[str, Any] | None:
    """Return the metadata, if there is some."""
    metadata = at(native, "metadata")
    return metadata if isinstance(metadata, dict) and metadata else None


def id_of(value: Any) -> str | None:
    """Return the id of what Stripe may give as an id or as the whole object."""
    return text(at(value, "id") if isinstance(value, dict) else value)


def at(node: Any, *path: str | int) -> Any:
    """Return what stands at a path of keys and places, or None."""
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


def first(read: Callable[[Any], str | None], *values: Any) -> str | None:
    """Return the first of the values that `read` makes something of."""
    return next((found for value in values if (found := read(value)) is not None), None)


def given(**data: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in data.items() if value is not None}
