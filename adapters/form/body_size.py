"""Body size of a form: how many bytes its declared fields may take, in any encoding.

A character takes most where it is percent-encoded: the four bytes of its UTF-8 are twelve
(https://url.spec.whatwg.org/#concept-urlencoded). JSON's `\\ud83d\\ude00` has as many, and a
multipart body four; but there each value has a head of its own.

Page builders and tag managers add hidden inputs to every form that they find. For these a body may
have `SPARE_BYTES` more, and no more: whatever is posted is read into memory before it is refused.
A page that adds more needs `max_bytes` of the source.
"""

from collections.abc import Mapping
from typing import Any

from adapters.form.files import most_bytes
from adapters.form.settings import longest

SPARE_BYTES = 64 * 1024
CHARACTER_BYTES = 12
# Boundary and headers of a part, without the names of its field and file.
HEAD_BYTES = 256
FILE_NAME_CHARACTERS = 255

Declared = Mapping[str, Mapping[str, Any]]


def longest_body(declared: Declared, default_bytes: int, max_bytes: int | None) -> int:
    """Return the maximum size of a body in bytes, for declared fields without faults.

    It is `max_bytes`, where the source says it. Otherwise it is that of all fields, filled in as
    far as they go, and `SPARE_BYTES`, but never more than `default_bytes` and the files.
    """
    if max_bytes is not None:
        return max_bytes
    most = default_bytes + most_bytes(declared)
    return min(most, declared_bytes(declared) + SPARE_BYTES)


def declared_bytes(declared: Declared) -> int:
    """Return the bytes that the declared fields of a form may take together."""
    values = sum(_field_bytes(name, field) for name, field in declared.items())
    return values + most_bytes(declared)


def _field_bytes(name: str, field: Mapping[str, Any]) -> int:
    """Return the bytes of a field's values, with the head of each; without its files' contents."""
    head = HEAD_BYTES + len(name)
    kind = field["type"]
    if kind == "file":
        return int(field.get("max", 1)) * (head + FILE_NAME_CHARACTERS * CHARACTER_BYTES)
    if kind in ("choice", "choices"):
        # A choice that is sent must be one of the list; each counts, since all may be taken.
        return sum(head + len(choice) * CHARACTER_BYTES for choice in field["choices"])
    return head + longest(field) * CHARACTER_BYTES
