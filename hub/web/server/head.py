"""Fast parser for the head of an ordinary webhook request.

gunicorn's parser weighs every rule for every field. Here one pattern takes what all of them let
through; whatever it does not take is gunicorn's, from the first byte.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

# Less than the least of gunicorn's limits: the one for the first line.
AT_ONCE_MOST_BYTES = 4000
FIELDS_MOST = 64
_HEAD = re.compile(
    r"POST (/webhooks/([A-Za-z0-9._~-]+)(?:\?[A-Za-z0-9._~=&%+-]*)?) HTTP/1\.1\r\n"
    r"((?:[A-Za-z0-9-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
# Fields that ask for more than to be read.
_ASK_FOR_MORE = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade"})


class Head(NamedTuple):
    """Head of a request. `headers`: as in `InboundRequest`; `keep`: keep the connection open."""

    slug: str
    target: str
    headers: Mapping[str, str]
    keep: bool


def read_head(head: bytes) -> Head | None:
    """Parse the head of a POST to a source, empty line included; None if it is not ordinary."""
    if len(head) > AT_ONCE_MOST_BYTES:
        return None
    found = _HEAD.fullmatch(head.decode("latin-1"))
    if found is None:
        return None
    target, slug, lines = found.groups()
    fields = lines.split("\r\n")[:-1]
    headers = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if (
        len(headers) != len(fields)
        or len(fields) > FIELDS_MOST
        or not _ASK_FOR_MORE.isdisjoint(headers)
    ):
        return None
    connection = headers.get("connection", "keep-alive").lower()
    if connection not in ("keep-alive", "close") or not headers.get("content-type", "-"):
        return None
    return Head(slug, target, headers, connection == "keep-alive")
