"""MIME parser for whole messages: decoded texts, and files with their exact bytes.

The standard library's parser reads line by line and follows every nesting, so a crafted e-mail can
keep it busy for minutes; and it raises undocumented exceptions. Here a message is split at its
boundaries, as forms are (RFC 2046). Bytes are decoded with the charset that the sender's mail
program claims.
"""

import binascii
import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from adapters.contract.errors import TooManyFields
from adapters.contract.form_bodies import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    media_type,
    read_head,
    split_head,
    split_parts,
)

LONGEST_NAME = 40
# In characters; the rest of a longer header is not decoded.
LONGEST_HEADER = 10_000

_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?[bBqQ]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
# Replacements as in browsers: in what is really sent, the first is a subset of the second.
_MEANT = {"iso8859-1": "cp1252", "ascii": "utf-8"}
# `idna` takes quadratic time; the others are notations and not charsets.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})


def decode(content: bytes, charset: str | None) -> str:
    """Return the text; bytes that the charset cannot decode become U+FFFD.

    Without a charset, or with an unknown one, the text is UTF-8 if that is valid, else
    Windows-1252.
    """
    codec = _codec(charset[:LONGEST_NAME]) if charset else None
    if codec is not None:
        return content.decode(codec, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def decode_words(header: str) -> str:
    """Return a header with its encoded words (RFC 2047) decoded; invalid ones stay unchanged."""
    joined = _BETWEEN_WORDS.sub(r"\1", header[:LONGEST_HEADER])
    plain = decode(joined.encode("utf-8", "surrogateescape"), None)
    return _ENCODED_WORD.sub(_word, plain)


def decode_base64(content: bytes) -> bytes:
    """Decode base64 as far as possible: missing padding and invalid bytes are ignored."""
    try:
        return binascii.a2b_base64(content)
    except binascii.Error:
        bare = _NOT_BASE64.sub(b"", content)
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))


def _word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    if not text.isascii():
        return match[0]
    if encoding in "bB":
        return decode(decode_base64(text.encode("ascii")), charset)
    return decode(binascii.a2b_qp(text.encode("ascii"), header=True), charset)


@lru_cache(maxsize=256)
def _codec(charset: str) -> str | None:
    """Return the codec's own name, or None if it is unknown or decodes no text."""
    try:
        codec = codecs.lookup(charset.strip()).name
        # `base64` and similar codecs are found too, but cannot decode text: they raise here.
        b"a".decode(codec, "ignore")
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_CHARSETS else _MEANT.get(codec, codec)


MAX_DEPTH = 10
# Limit for the headers of the message itself, which is higher: every server on the way adds some.
MAX_TOP_HEAD_BYTES = 256 * 1024

_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]{1,200})"|([^\s";]{1,200}))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MimeFile:
    """File of an e-mail. `name` is as the sender wrote it, empty if there is none."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """Message with its headers by lower-case names, not decoded; absent texts are empty."""

    headers: Mapping[str, str]
    text: str
    html: str
    files: tuple[MimeFile, ...]


def read_message(raw: bytes) -> Message:
    """Parse a message; any bytes are accepted.

    Raises:
        TooManyFields: the message has more than `MAX_FIELDS` parts in all.
    """
    head, body = split_head(raw)
    headers = read_head(head[:MAX_TOP_HEAD_BYTES])
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    files = []
    for count, leaf in enumerate(_leaves(headers, body, MAX_DEPTH)):
        if count == MAX_FIELDS:
            raise TooManyFields(f"an e-mail has at most {MAX_FIELDS} parts")
        if isinstance(leaf, MimeFile):
            files.append(leaf)
        else:
            kind, text = leaf
            texts[kind] += [text] if text else []
    plain, html = ("\n".join(texts[kind]) for kind in ("text/plain", "text/html"))
    return Message(headers, plain, html, tuple(files))


def _leaves(
    headers: Mapping[str, str], body: bytes, depth: int
) -> Iterator[MimeFile | tuple[str, str]]:
    """Yield the leaf parts: files, and texts with their type."""
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
    # The default type of RFC 2045, 5.2.
    kind = kind or "text/plain"
    if kind in ("text/plain", "text/html") and disposition != "attachment" and not name:
        yield kind, decode(content, options.get("charset"))
    else:
        yield MimeFile(decode_words(name), kind, content)


def _parts(kind: str, declared: str, body: bytes) -> list[bytes] | None:
    boundary = _BOUNDARY.search(declared) if kind.startswith("multipart/") else None
    if boundary is None:
        return None
    try:
        # A message that was cut off in transit is still parsed.
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
