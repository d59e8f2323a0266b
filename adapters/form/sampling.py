"""Submissions as a script on the page would post them, for `hub send`."""

import json
from collections.abc import Mapping
from typing import Any

SAMPLE_TYPES = ("submission", "spam")

_NAMED = {"name": "Jane Doe", "company": "Example Ltd", "city": "Springfield"}
_TYPED = {
    "text": "A sample",
    "longtext": "Hello,\nit leaks above the kitchen. When could you come?\nJane",
    "email": "jane.doe@example.com",
    "phone": "+1 212 555 0123",
}


def sample_body(
    declared: Mapping[str, Mapping[str, Any]], native_type: str, external_id: str
) -> bytes:
    """Return a submission with every field filled in; `external_id` is its token.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        raise LookupError(f"no sample of {native_type}; there are: {', '.join(SAMPLE_TYPES)}")
    filled = {name: _value(name, declaration) for name, declaration in declared.items()}
    ours = {"_token": external_id, **({"_gotcha": "x"} if native_type == "spam" else {})}
    return json.dumps(filled | ours).encode("ascii")


def _value(name: str, declaration: Mapping[str, Any]) -> str:
    kind = declaration["type"]
    if kind == "choice":
        return str(declaration["choices"][0])
    value = _NAMED.get(name, _TYPED[kind]) if kind == "text" else _TYPED[kind]
    return value[: declaration.get("max", len(value))].strip()
