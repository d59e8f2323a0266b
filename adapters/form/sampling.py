"""Submissions as a script on the page would post them, for `hub send`."""

import json
from collections.abc import Mapping
from typing import Any

SAMPLE_TYPES = ("submission",)

_NAMED = {"name": "Jane Doe", "company": "Example Ltd", "city": "Springfield"}
_TYPED: Mapping[str, Any] = {
    "text": "A sample",
    "longtext": "Hello,\nit leaks above the kitchen. When could you come?\nJane",
    "email": "jane.doe@example.com",
    "phone": "+1 212 555 0123",
    "number": 12,
    "date": "2026-11-20",
    "consent": True,
    "hidden": "sample",
}


def sample_body(declared: Mapping[str, Mapping[str, Any]], native_type: str, token: str) -> bytes:
    """Return a submission with every field filled in, but for files and what has a pattern.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        raise LookupError(f"no sample of {native_type}; there are: {', '.join(SAMPLE_TYPES)}")
    filled = {name: _value(name, field) for name, field in declared.items() if _can_be_made(field)}
    return json.dumps(filled | {"_token": token}).encode("ascii")


def _can_be_made(declared: Mapping[str, Any]) -> bool:
    return declared["type"] != "file" and "pattern" not in declared


def _value(name: str, declared: Mapping[str, Any]) -> Any:
    kind = declared["type"]
    if kind == "choice":
        return declared["choices"][0]
    if kind == "choices":
        return declared["choices"][: declared.get("min", 1)]
    if kind in ("number", "date"):
        return declared.get("min", declared.get("max", _TYPED[kind]))
    if kind == "consent":
        return True
    value = str(_NAMED.get(name, _TYPED[kind]) if kind == "text" else _TYPED[kind])
    padded = value.ljust(declared.get("min", 0), ".")
    return padded[: declared.get("max", len(padded))].strip()
