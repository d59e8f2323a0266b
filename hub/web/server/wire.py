"""HTTP responses as bytes, where gunicorn does not build them."""

import time
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from gunicorn import SERVER  # type: ignore[import-untyped]
from gunicorn.util import http_date  # type: ignore[import-untyped]

from hub.web.errors import RETRY_AFTER_S, SENTENCES


def answer_bytes(
    status: int, headers: Iterable[tuple[str, str]], body: bytes, *, keep: bool
) -> bytes:
    """Return a complete response, with the header fields that gunicorn would add."""
    return _head(status, tuple(headers), keep, int(time.time())) + body


@lru_cache(maxsize=64)  # a server says the same again and again, at least for a second
def _head(status: int, headers: tuple[tuple[str, str], ...], keep: bool, now_s: int) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase.upper()}",  # as Flask spells it
        f"Server: {SERVER}",
        f"Date: {http_date(now_s)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def refusal_bytes(status: int) -> bytes:
    """Return the error response that ends a connection outside the application."""
    body = f"{SENTENCES[status]}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    if status == 503:
        headers.insert(0, ("Retry-After", str(RETRY_AFTER_S)))
    return answer_bytes(status, headers, body, keep=False)
