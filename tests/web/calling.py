"""WSGI calls of the application, without a server."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask

from hub.app import create_app
from hub.settings import load_settings
from tests.web.serving import CONFIG, ENVIRON, Answer


def make_app(folder: Path, database_url: str, *, config: str = CONFIG, **environ: str) -> Flask:
    """Return the application over a migrated database, without Redis."""
    (folder / "hub.yaml").write_text(config)
    given = {
        "DATABASE_URL": database_url.replace("+psycopg", ""),
        "REDIS_URL": f"unix://{folder}/nobody.sock",
        "HUB_CONFIG": str(folder / "hub.yaml"),
        **environ,
    }
    return create_app(load_settings(given), ENVIRON | given)


def call(
    app: Flask,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/webhooks/stripe",
    method: str = "POST",
    remote: str = "127.0.0.1",
    target: str | None = None,
) -> Answer:
    """Call the application; header names are as on the wire, as is `target` if it is no path."""
    environ = environ_of(body, headers, path=path, method=method, remote=remote)
    if target is not None:
        environ["RAW_URI"] = target
    said: list[Any] = []
    chunks = app(environ, lambda status, fields, _=None: said.extend((status, fields)))
    answer_body = b"".join(chunks)
    chunks.close()  # type: ignore[attr-defined]
    answer_headers = {name.lower(): value for name, value in said[1]}
    return Answer(int(said[0].partition(" ")[0]), answer_headers, answer_body)


def environ_of(
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/webhooks/stripe",
    method: str = "POST",
    remote: str = "127.0.0.1",
) -> dict[str, Any]:
    """Return the WSGI environment that a server makes of a request."""
    name, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(name).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": remote,
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    for header, value in (headers or {}).items():
        key = header.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ
