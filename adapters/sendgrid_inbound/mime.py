"""A whole MIME message taken apart: its texts, and its files with their exact bytes.

The standard library's parser reads line by line and follows every nesting, so that an e-mail can
be written which keeps it busy for minutes; and it raises what it likes. Here a message is split at
its boundaries, as forms are (RFC 2046).
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adapters.contract.errors import TooManyFields
from adapters.contract.forms import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    media_type,
    read_head,
    split_head,
    split_parts,
)
from adapters.sendgrid_inbound.charsets import LONGEST_HEADER, decode, decode_base64, decode_words

MAX_DEPTH = 10
MAX_TOP_HEAD_BYTES = 256 * 1024
"""The headers of the message itself: every server on its way adds some."""

_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file of an e-mail. `name` is as its sender wrote it, empty when there is none."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message's headers by lower-case names, not decoded; its texts are empty when absent."""

    headers: Mapping[str, str]
    text: str
    html: str
    files: tuple[File, ...]


def read_message(raw: bytes) -> Message:
    """Return what a message holds. Whatever the bytes are, they are one.

    Raises:
        TooManyFields: it has more than `MAX_FIELDS` parts in all.
    """
    head, body = split_head(raw)
    headers = read_head(head[:MAX_TOP_HEAD_BYTES])
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    files = []
    for count, leaf in enumerate(_leaves(headers, body, MAX_DEPTH)):
        if count == MAX_FIELDS:
            raise TooManyFields(f"an e-mail has at most {MAX_FIELDS} parts")
        if isinstance(leaf, File):
            files.append(leaf)
        else:
            kind, text = leaf
            texts[kind] += [text] if text else []
    plain, html = ("\n".join(texts[kind]) for kind in ("text/plain", "text/html"))
    return Message(headers, plain, html, tuple(files))


def _leaves(
    headers: Mapping[str, str], body: bytes, depth: int
) -> Iterator[File | tuple[str, str]]:
    """Yield the parts that hold no others: files, and texts with their type."""
    declared = headers.get("content-type", "")[:LONGEST_HEADER]
    kind, options = media_type(declared)
    parts = _parts(kind, declared, body) if depth else None
    if parts:
        for part in parts:
            head, inner = split_head(part)
            yield from _leaves(read_head(head[:MAX_HEAD_BYTES]), inner, depth - 1)
        return
    disposition, placing = media_type(headers.get("content-disposition", "")[:LONGEST_HEADER])
    name = placing.get("filename") or options.get("name") or ""
    content = _decoded(headers.get("content-transfer-encoding", ""), body)
    kind = kind or "text/plain"  # RFC 2045, 5.2
    if kind in ("text/plain", "text/html") and disposition != "attachment" and not name:
        yield kind, decode(content, options.get("charset"))
    else:
        yield File(decode_words(name), kind, content)


def _parts(kind: str, declared: str, body: bytes) -> list[bytes] | None:
    boundary = _BOUNDARY.search(declared) if kind.startswith("multipart/") else None
    if boundary is None:
        return None
    try:
        # One that was cut off on its way is still worth reading.
        return list(split_parts(body, _bytes(boundary[1] or boundary[2])).parts)
    except TooManyFields:
        return None


def _bytes(boundary: str) -> bytes:
    return boundary.rstrip().encode("utf-8", "surrogateescape")


def _decoded(encoding: str, body: bytes) -> bytes:
    word = encoding.strip().lower()
    if word == "base64":
        return decode_base64(body)
    return binascii.a2b_qp(body) if word == "quoted-printable" else body
