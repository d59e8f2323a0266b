"""A tree cut down to what a page can show."""

from collections.abc import Mapping
from typing import Any

MOST_NODES = 600
LONGEST_TEXT = 4000
MORE = "…"


def cut(value: Any) -> Any:
    """Return a tree of `MOST_NODES` leaves and branches at most, each text of bounded length."""
    return _cut(value, [MOST_NODES])


def _cut(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, str):
        if len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}{MORE} ({len(value) - LONGEST_TEXT} more characters)"
    if isinstance(value, Mapping):
        kept: dict[str, Any] = {}
        for name, inner in value.items():
            if left[0] <= 0:
                return kept | {MORE: f"{len(value) - len(kept)} more"}
            kept[str(name)[:LONGEST_TEXT]] = _cut(inner, left)
        return kept
    if isinstance(value, list | tuple):
        items: list[Any] = []
        for inner in value:
            if left[0] <= 0:
                return [*items, f"{MORE} {len(value) - len(items)} more"]
            items.append(_cut(inner, left))
        return items
    return value
