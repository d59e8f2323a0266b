"""Bytes of e-mails into text: the charset is whatever a stranger's mail program says it is."""

import binascii
import codecs
import re
from functools import lru_cache

LONGEST_NAME = 40
LONGEST_HEADER = 10_000
"""In characters; what a header says after them is not decoded."""

_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?[bBqQ]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[bBqQ]\?)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
# As browsers read them: the first is a subset of the second in what is really sent.
_MEANT = {"iso8859-1": "cp1252", "ascii": "utf-8"}
# `idna` takes quadratic time; the others are languages and not charsets.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})


def decode(content: bytes, charset: str | None) -> str:
    """Return the text; what the charset cannot say becomes U+FFFD.

    Without a charset, or with one that nobody knows, it is UTF-8 if it can be, else Windows-1252.
    """
    codec = _codec(charset[:LONGEST_NAME]) if charset else None
    if codec is not None:
        return content.decode(codec, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def decode_words(header: str) -> str:
    """Return a header with its encoded words (RFC 2047) decoded; broken ones stay as they are."""
    joined = _BETWEEN_WORDS.sub(r"\1", header[:LONGEST_HEADER])
    plain = decode(joined.encode("utf-8", "surrogateescape"), None)
    return _ENCODED_WORD.sub(_word, plain)


def decode_base64(content: bytes) -> bytes:
    """Return what base64 says, as far as it says anything: padding and strange bytes count not."""
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
    """Return the codec's own name, None when it is unknown or decodes no text."""
    try:
        codec = codecs.lookup(charset.strip()).name
        b"a".decode(codec, "ignore")  # base64 and its like are codecs too
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_CHARSETS else _MEANT.get(codec, codec)
