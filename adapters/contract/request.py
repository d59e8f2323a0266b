"""Inbound request as a plain value: the only input of signature verification and parsing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """HTTP request as received, with its body as raw bytes.

    `url` is the URL that the provider knows: the configured public origin plus the raw, still
    percent-encoded path and query, without the path secret. `headers` has lower-case names; the
    values of a repeated name are joined with ``,`` (RFC 9110, 5.2). `received_at` is aware UTC,
    and the only clock of an adapter. `path_secret` is the last segment of
    `/webhooks/<source>/<secret>`, or None.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    path_secret: str | None = None
