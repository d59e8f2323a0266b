"""WSGI reader: turns an environ into an `InboundRequest` for the adapters, or refuses it."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from io import BufferedIOBase
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import (
    BadRequest,
    NotFound,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from adapters import InboundRequest

# Key in the environ: the status with which the server in front refuses a request that it has not
# read to its end. The application then gives the response, and no view sees the request.
REFUSED = "hub.refused"
_LENGTH_DIGITS = 18
# Without a user, who has no meaning there (RFC 9110, 4.2.4).
_ABSOLUTE_FORM = re.compile(r"https?://([^/?#@\\]+)(/.*)?", re.IGNORECASE)

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def inbound_request(
    environ: dict[str, Any],
    *,
    origin: str | None,
    max_bytes: int,
    received_at: datetime,
    path_secret: str | None = None,
) -> InboundRequest:
    """Return the inbound request exactly as its sender made it.

    `origin` is the public one; None takes it from the request.

    Raises:
        HTTPException: 400, 404, 413 or 415; nothing of the request may be stored.
    """
    if not environ.get("HTTP_HOST"):  # RFC 9112, 3.2
        raise BadRequest
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    target = raw_target(environ)
    body = read_body(environ, max_bytes)
    return build_request(
        environ["REQUEST_METHOD"],
        origin or f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}",
        target,
        _headers(environ),
        body,
        received_at=received_at,
        path_secret=path_secret,
    )


def build_request(
    method: str,
    origin: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    received_at: datetime,
    path_secret: str | None,
) -> InboundRequest:
    """Return an inbound request; without the path's secret, since it is stored in the database.

    In headers it is masked: a proxy's may repeat the URL.
    """
    if path_secret is not None:
        path, mark, query = target.partition("?")
        target = path.rpartition("/")[0] + mark + query
        headers = {name: value.replace(path_secret, "***") for name, value in headers.items()}
    return InboundRequest(
        method=method,
        url=origin + target,
        headers=headers,
        body=body,
        received_at=received_at,
        path_secret=path_secret,
    )


def named_host(target: str, host: str) -> str | None:
    """Return the host that a request is for; None if its target has no form that the hub takes.

    A target in absolute form names it, whatever `host` says, the `Host` field (RFC 9112, 3.2.2).
    """
    if target.startswith("/") or target == "*":
        return host
    found = _ABSOLUTE_FORM.fullmatch(target)
    return found and found[1]


def with_named_host(app: WsgiApp) -> WsgiApp:
    """Return a WSGI application that calls `app` with the host that a request is for, as `Host`.

    Names of hosts are the same in capital letters (RFC 9110, 4.2.3).
    """

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/"
        host = environ.get("HTTP_HOST", "")
        named = named_host(target, host)
        if named is None:
            environ[REFUSED] = 400
        elif named.lower() != host:
            environ["HTTP_HOST"] = named.lower()
        return app(environ, start_response)

    return call


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
    if found := _ABSOLUTE_FORM.fullmatch(raw):
        raw = found[2] or "/"
    if raw.partition("?")[0] != path or path.startswith("//") or "#" in raw:
        raise NotFound  # routing treats // as /, and drops a fragment
    return str(raw)


def read_body(environ: dict[str, Any], max_bytes: int) -> bytes:
    """Return the complete body, never a part of it.

    Raises:
        RequestEntityTooLarge: it has more than `max_bytes`, chunked or not.
        BadRequest: its length or its chunks cannot be parsed, or the sender disconnected.
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
    stream: BufferedIOBase = environ["wsgi.input"]
    try:
        body = stream.read(wanted)
    except Exception as error:
        raise BadRequest from error
    if len(body) > max_bytes:
        raise RequestEntityTooLarge
    if declared is not None and len(body) < wanted:
        raise BadRequest
    return body


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers
