"""Form bodies, urlencoded or multipart, as names and values in order, including repeated names.

Multipart bodies are split at their boundary alone (RFC 2046, 5.1.1); this fits e-mails as well.
Each byte is examined a few times at most, whatever the input.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header

from adapters.contract.errors import TooManyFields, Unreadable

MAX_FIELDS = 1000
# In characters; RFC 2046 allows 70.
MAX_BOUNDARY = 200
# In characters. A longer header is read as if it were not there: its parameters are parsed one by
# one, before anybody is known to have signed it.
MAX_OPTIONS = 8 * 1024
# Limit for the headers of one part.
MAX_HEAD_BYTES = 16 * 1024

_HEADER_END = re.compile(r"\r?\n(?![ \t])")
_FOLD = re.compile(r"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a multipart body.

    `filename` is None for a field, and the unchanged name for a file. Bytes of a name that are not
    UTF-8 become lone surrogates, so that nothing is lost.
    """

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None
    charset: str | None = None


class Split(NamedTuple):
    """Parts between boundaries, each with its headers; `closed`: the final boundary was found."""

    parts: Sequence[bytes]
    closed: bool


def media_type(content_type: str | None) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case, and its parameters; neither from a very long header."""
    given = content_type or ""
    kind, options = parse_options_header(given if len(given) <= MAX_OPTIONS else "")
    return kind.lower(), options


def read_form(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the fields of a urlencoded body, including empty values.

    Bytes that are not UTF-8 become lone surrogates, so that nothing is lost and signatures match.

    Raises:
        TooManyFields: the body has more than `MAX_FIELDS` fields.
    """
    try:
        return parse_qsl(
            body.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise TooManyFields(f"a form has at most {MAX_FIELDS} fields") from None


def read_multipart(body: bytes, content_type: str | None) -> Sequence[Part]:
    """Return the parts of a `multipart/form-data` body.

    Raises:
        Unreadable: there is no boundary, the body is truncated, or a part is not form data.
        TooManyFields: the body has more than `MAX_FIELDS` parts.
    """
    kind, options = media_type(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY:
        raise Unreadable("expected multipart/form-data with a boundary")
    found = split_parts(body, boundary.encode("latin-1", "replace"))
    if not found.closed:
        raise Unreadable("the body breaks off: its last boundary is missing")
    return [_part(part) for part in found.parts]


def split_parts(body: bytes, boundary: bytes) -> Split:
    """Split a body at its boundaries. Lines may end in CRLF or in LF alone.

    Raises:
        TooManyFields: the body has more than `MAX_FIELDS` parts.
    """
    # The pattern starts with the literal marker, so that `re` finds it as fast as plain text.
    marker = re.escape(b"--" + boundary)
    line = marker + rb"(?<![^\n]" + marker + rb")(--)?[ \t]*(?:\r?\n|\Z)"
    parts: list[bytes] = []
    start: int | None = None
    for hit in re.finditer(line, body):
        if start is not None:
            parts.append(body[start : _before_line_break(body, hit.start())])
        if hit[1]:
            return Split(parts, closed=True)
        if len(parts) == MAX_FIELDS:
            raise TooManyFields(f"a form has at most {MAX_FIELDS} parts")
        start = hit.end()
    if start is not None:
        parts.append(body[start:])
    return Split(parts, closed=False)


def split_head(part: bytes) -> tuple[bytes, bytes]:
    """Split a part at its first empty line into headers and content; without one: headers only."""
    for line_break in (b"\r\n", b"\n"):
        if part.startswith(line_break):
            return b"", part[len(line_break) :]
    windows, unix = part.find(b"\r\n\r\n"), part.find(b"\n\n")
    if windows >= 0 and (unix < 0 or windows < unix):
        return part[: windows + 2], part[windows + 4 :]
    return (part[: unix + 1], part[unix + 2 :]) if unix >= 0 else (part, b"")


def read_head(head: bytes) -> dict[str, str]:
    """Return the headers by lower-case name, unfolded; of a repeated header, the first.

    Bytes that are not UTF-8 become lone surrogates.
    """
    headers: dict[str, str] = {}
    for line in _HEADER_END.split(head.decode("utf-8", "surrogateescape")):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), _FOLD.sub(" ", value).strip())
    return headers


def _before_line_break(body: bytes, end: int) -> int:
    """Return the end of a part: the line break before the boundary at `end` is not part of it."""
    return max(0, end - (2 if body[end - 2 : end] == b"\r\n" else 1))


def _part(raw: bytes) -> Part:
    head, content = split_head(raw)
    if len(head) > MAX_HEAD_BYTES:
        raise Unreadable(f"the headers of a part have more than {MAX_HEAD_BYTES} bytes")
    headers = read_head(head)
    kind, disposition = media_type(headers.get("content-disposition"))
    if kind != "form-data" or "name" not in disposition:
        raise Unreadable("a part has no Content-Disposition: form-data with a name")
    content_type, options = media_type(headers.get("content-type"))
    return Part(
        disposition["name"],
        content,
        disposition.get("filename"),
        content_type or None,
        options.get("charset"),
    )
