"""Body view of a request: JSON and forms are formatted, other bodies are shown as they are.

Users who may not see personal data get no exact bytes: a body that cannot be masked is not shown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from adapters import Unreadable
from adapters.contract.strict_json import read_json
from hub.core.auth.redaction import Redactor

MOST_PRETTY_BYTES = 128 * 1024
MOST_CHARACTERS = 64 * 1024
MOST_HEX_BYTES = 2048
MOST_FIELDS = 500
_ROW = 16


@dataclass(frozen=True, slots=True)
class Shown:
    """Body of a request, in the formats that a page shows.

    A format is empty if the body does not have it, or if the user may not see it. `is_cut`: the
    download has more. `is_masked`: parts are hidden from the user.
    """

    pretty: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    raw: str | None = None
    hex: str | None = None
    is_cut: bool = False
    is_masked: bool = False


def shown(
    body: bytes, headers: Mapping[str, Any], *, redactor: Redactor | None, typed: bool
) -> Shown:
    """Return a body in the formats that a page shows.

    `redactor` masks personal data; None for a user who may see it. `typed`: a visitor typed the
    body into a form, so that every value of it is personal.
    """
    kind = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    personal = redactor is None
    mask: Any = (lambda tree: tree) if redactor is None else redactor.tree
    if redactor is not None and typed:
        mask = redactor.typed
    text = _text(body)
    pretty = _pretty(body, mask) if text is not None else None
    pairs = _pairs(text, mask) if text and kind == "application/x-www-form-urlencoded" else ()
    if not personal:
        return Shown(_cut(pretty), pairs, is_masked=True)
    if text is None:
        return Shown(hex=_hex(body[:MOST_HEX_BYTES]), is_cut=len(body) > MOST_HEX_BYTES)
    is_cut = len(text) > MOST_CHARACTERS
    return Shown(_cut(pretty), pairs, raw=text[:MOST_CHARACTERS], is_cut=is_cut)


def _text(body: bytes) -> str | None:
    """Decode the body as UTF-8; return None if it is not text."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(c < " " and c not in "\t\n\r\f" for c in text[:4096]) else text


def _pretty(body: bytes, mask: Any) -> str | None:
    if len(body) > MOST_PRETTY_BYTES or body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        tree = read_json(body)
    except Unreadable:
        return None
    return json.dumps(mask(tree), indent=2, ensure_ascii=False)


def _pairs(text: str, mask: Any) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(text[:MOST_PRETTY_BYTES], keep_blank_values=True, separator="&",
                          max_num_fields=MOST_FIELDS)  # fmt: skip
    except ValueError:  # more fields than that
        return ()
    found = [next(iter(mask({name: value}).items())) for name, value in pairs]
    return tuple((str(name), str(value)) for name, value in found)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MOST_CHARACTERS]


def _hex(body: bytes) -> str:
    """Return a hex dump: rows of offset, hexadecimal digits and printable characters."""
    rows = (body[at : at + _ROW] for at in range(0, len(body), _ROW))
    return "\n".join(
        f"{n * _ROW:06x}  {row.hex(' '):<47}  "
        + "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        for n, row in enumerate(rows)
    )
