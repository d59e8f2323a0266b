"""The types of fields: which keys each takes, and how many characters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LARGEST_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Kind:
    """`longest`: characters, unless `max` says otherwise where `max` counts them (`sized`)."""

    longest: int
    keys: Sequence[str] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    sized: bool = False


_TYPED = ("max", "min", "placeholder")
_LISTED = {"choices": "a list of texts"}

KINDS = {
    "text": Kind(500, (*_TYPED, "pattern"), sized=True),
    "longtext": Kind(10_000, (*_TYPED, "pattern"), sized=True),
    "email": Kind(320, _TYPED, sized=True),
    "phone": Kind(40, (*_TYPED, "pattern"), sized=True),
    "choice": Kind(200, ("choices",), _LISTED),
    "choices": Kind(200, ("choices", "max", "min"), _LISTED),
    "number": Kind(40, _TYPED),
    "date": Kind(40, ("max", "min")),
    "consent": Kind(200, ("text",), {"text": "what is consented to"}),
    "hidden": Kind(500, ("max", "min", "pattern", "value"), sized=True),
    "file": Kind(0, ("max", "min", "accept", "max_bytes")),
}


def longest(declared: Mapping[str, Any]) -> int:
    """Return how many characters a field takes."""
    kind = KINDS[declared["type"]]
    return int(declared.get("max", kind.longest)) if kind.sized else kind.longest
