"""Request head: what an ASGI server read of it, checked for what uvicorn and llhttp let through.

They take no `Host` or two, fields and targets of any length, codings beside `chunked`, chunks in
HTTP/1.0, HTTP/2.0 in words, and any `Expect`. RFC 9112, sections 2.3, 3.2, 6.1; RFC 9110, 10.1.1.
They drop a fragment, and the host of a target that names one.
"""

from collections.abc import MutableMapping
from typing import Any, NamedTuple

from hub.web.request_reader import named_host

FIELDS_MOST = 100
FIELD_MOST_BYTES = 8190
TARGET_MOST_BYTES = 4094
_LENGTH_DIGITS = 18
# Extension of the ASGI scope, by `hub.web.http_protocol`: the `target` as it arrived (bytes), and
# two functions: `has_arrived` returns whether the request is there to its end, `is_closing` whether
# the connection is lost, or about to be closed; `begun_s` is when its first byte came, on the
# loop's clock.
CONNECTION = "hub.connection"
_NO_CONNECTION = {"target": b"/", "has_arrived": lambda: False, "begun_s": None}


class Head(NamedTuple):
    """Head of a request.

    `path` and `target` (path and query) are as they arrived, still percent-encoded; `headers` are
    as in `InboundRequest`, `fields` as in ASGI. `Host` is in small letters; the host of a target in
    absolute form stands in its place. `length` is the declared length of the body in bytes, 0 if it
    is chunked or there is none; `has_arrived`: it is there already. `begun_s` is the time of the
    first byte on the loop's clock, None if it is not known. `refused` is the status of the refusal
    if the head cannot be taken.
    """

    method: str
    path: str
    target: str
    headers: dict[str, str]
    fields: list[tuple[bytes, bytes]]
    has_body: bool
    has_arrived: bool
    length: int
    begun_s: float | None
    refused: int | None

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "transfer-encoding" in self.headers


def read_head(scope: MutableMapping[str, Any]) -> Head:
    """Return the head of a request from an ASGI scope.

    Fields with an underscore are dropped, since WSGI cannot tell them from those with a hyphen.
    """
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    refused = None
    headers: dict[str, str] = {}
    fields = []
    hosts = codings = 0
    for field in scope["headers"]:
        name, value = field[0].decode("latin-1"), field[1].decode("latin-1")
        if len(name) + len(value) > FIELD_MOST_BYTES:
            refused = 431
            continue
        if "_" in name:
            continue
        fields.append(field)
        if name == "host":
            hosts += 1
        elif name == "transfer-encoding":
            codings += 1
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    connection = scope.get("extensions", {}).get(CONNECTION, _NO_CONNECTION)
    arrived = connection["target"].decode("latin-1")
    if "#" in arrived:  # another spelling of the path, which is nobody's
        path, query = f"{path}#", ""
    # An empty query may have come with its `?`, which a signature of the address covers.
    target = f"{path}?{query}" if query or arrived.endswith("?") else path
    if hosts == 1:
        host = (named_host(arrived, headers["host"]) or "").lower()
        if host != headers["host"]:
            headers["host"] = host
            named = (b"host", host.encode("latin-1"))
            fields = [named if field[0] == b"host" else field for field in fields]
    if len(scope["headers"]) > FIELDS_MOST or len(target) > TARGET_MOST_BYTES:
        refused = 431
    elif hosts != 1 or codings > 1 or not _is_sound(headers, target, scope["http_version"]):
        refused = refused or 400
    length = headers.get("content-length", "")
    if len(length) > _LENGTH_DIGITS:
        refused = refused or 413
    return Head(
        method=scope["method"],
        path=path,
        target=target,
        headers=headers,
        fields=fields,
        has_body=bool(codings or length),
        has_arrived=connection["has_arrived"](),
        length=int(length or 0) if refused is None else 0,
        begun_s=connection["begun_s"],
        refused=refused,
    )


def _is_sound(headers: dict[str, str], target: str, version: str) -> bool:
    if not headers["host"] or not target.isascii() or version not in ("1.0", "1.1"):
        return False
    coding = headers.get("transfer-encoding")
    if coding is not None and (coding.lower() != "chunked" or version == "1.0"):
        return False
    return headers.get("expect", "100-continue").lower() == "100-continue"
