"""WSGI reader: turns an environ into an `InboundRequest` for the adapters, or refuses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedIOBase
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import (
    BadRequest,
    NotFound,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    UnsupportedMediaType,
)

from adapters import InboundRequest
from hub.gateways.watchdog import WATCHDOG
from hub.web.errors import RETRY_AFTER_S
from hub.web.server.arrival import WHOLE_MOST_BYTES

BODY_TIMEOUT_S = 15
_LENGTH_DIGITS = 18
# How many threads may wait for a body too large for the server to buffer before. Together they are
# fewer than there are threads: slow senders, who need no credentials, cannot block all others.
FORMS_AT_ONCE, WEBHOOKS_AT_ONCE = 4, 2
_FORM_PLACES = BoundedSemaphore(FORMS_AT_ONCE)
_WEBHOOK_PLACES = BoundedSemaphore(WEBHOOKS_AT_ONCE)


def inbound_request(
    environ: dict[str, Any],
    *,
    origin: str | None,
    max_bytes: int,
    received_at: datetime,
    path_secret: str | None = None,
    timeout_s: float | None = None,
) -> InboundRequest:
    """Return the inbound request exactly as its sender made it.

    `origin` is the public one; None takes it from the request. The `url` lacks the path's secret,
    since it is stored in the database. `timeout_s`: time limit of the body, where `BODY_TIMEOUT_S`
    is too short.

    Raises:
        HTTPException: 400, 404, 408, 413, 415 or 503; nothing of the request may be stored.
    """
    if not environ.get("HTTP_HOST"):  # RFC 9112, 3.2
        raise BadRequest
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    target = raw_target(environ)
    body = read_body(environ, max_bytes, timeout_s)
    if origin is None:
        origin = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    return InboundRequest(
        method=environ["REQUEST_METHOD"],
        url=origin + _without_secret(target, path_secret),
        headers=_headers(environ, path_secret),
        body=body,
        received_at=received_at,
        path_secret=path_secret,
    )


def raw_target(environ: dict[str, Any]) -> str:
    """Return path and query as they arrived, still percent-encoded.

    Raises:
        NotFound: the path is not encoded as the hub encodes it.
    """
    path = quote(environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"], safe="/:@!$&'()*+,;=~-._")
    query = environ.get("QUERY_STRING", "")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is None:
        return f"{path}?{query}" if query else path
    if raw.startswith("http"):  # absolute form (RFC 9112, 3.2.2)
        raw = "/" + raw.split("/", 3)[-1]
    if raw.partition("?")[0] != path or path.startswith("//"):  # routing treats // as /
        raise NotFound
    return str(raw)


def _without_secret(target: str, path_secret: str | None) -> str:
    if path_secret is None:
        return target
    path, mark, query = target.partition("?")
    return path.rpartition("/")[0] + mark + query


def read_body(environ: dict[str, Any], max_bytes: int, timeout_s: float | None = None) -> bytes:
    """Return the complete body, never a part of it.

    Raises:
        RequestEntityTooLarge: it has more than `max_bytes`, chunked or not.
        RequestTimeout: it did not arrive within `timeout_s` (None: `BODY_TIMEOUT_S`).
        BadRequest: its length or its chunks cannot be parsed, or the sender disconnected.
        ServiceUnavailable: too many large bodies are being received already.
    """
    declared = environ.get("CONTENT_LENGTH") or None
    if declared is not None:
        if not declared.isascii() or not declared.isdigit() or "HTTP_TRANSFER_ENCODING" in environ:
            raise BadRequest
        if len(declared) > _LENGTH_DIGITS or int(declared) > max_bytes:
            raise RequestEntityTooLarge
    elif (coding := environ.get("HTTP_TRANSFER_ENCODING")) is None:
        return b""
    elif coding.lower() != "chunked":  # `gzip, chunked` would be stored compressed
        raise BadRequest
    wanted = max_bytes + 1 if declared is None else int(declared)
    body = _read(environ, wanted, BODY_TIMEOUT_S if timeout_s is None else timeout_s)
    if len(body) > max_bytes:
        raise RequestEntityTooLarge
    if declared is not None and len(body) < wanted:
        raise BadRequest
    return body


def _read(environ: dict[str, Any], wanted: int, timeout_s: float) -> bytes:
    stream: BufferedIOBase = environ["wsgi.input"]
    socket = environ.get("gunicorn.socket")
    if socket is None:
        return stream.read(wanted)
    with _place(environ, wanted), WATCHDOG.guard(socket, timeout_s) as guard:
        try:
            body = stream.read(wanted)
        except (OSError, ParseException) as error:
            raise (RequestTimeout if guard.expired else BadRequest) from error
    if guard.expired:
        raise RequestTimeout
    return body


@contextmanager
def _place(environ: dict[str, Any], wanted: int) -> Iterator[None]:
    """Hold one of the places for threads that wait for a large body.

    Raises:
        ServiceUnavailable: all places are taken.
    """
    if wanted <= WHOLE_MOST_BYTES:  # the server has buffered it already
        yield
        return
    places = _FORM_PLACES if environ["PATH_INFO"].startswith("/forms/") else _WEBHOOK_PLACES
    if not places.acquire(blocking=False):
        raise ServiceUnavailable(retry_after=RETRY_AFTER_S)
    try:
        yield
    finally:
        places.release()


def _headers(environ: dict[str, Any], path_secret: str | None) -> dict[str, str]:
    """Return the headers, with the path's secret masked: a proxy's headers may repeat the URL."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    if path_secret:
        return {name: value.replace(path_secret, "***") for name, value in headers.items()}
    return headers
