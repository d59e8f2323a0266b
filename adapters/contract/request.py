"""One webhook as the provider sent it: the only thing that a verifier or a parser may look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One HTTP request, bytes first.

    `url` is the address as the provider knows it: the configured public origin plus the raw,
    still percent-encoded path and query, without a secret in the path. `headers` has lower-case
    names; a name sent twice has its values joined with ``,`` (RFC 9110, 5.2). `received_at` is
    aware UTC, and the only clock an adapter has. `path_secret` is the last part of
    `/webhooks/<source>/<secret>`, if there.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    path_secret: str | None = None
