"""Floor of a durable webhook endpoint: verify, one raw INSERT, commit. A bare WSGI app.

No framework, no parsing, no duplicate check, no work afterwards.
"""

import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import psycopg

TABLE = "CREATE TABLE floor (id uuid PRIMARY KEY, received_at timestamptz NOT NULL, body bytea)"
INSERT = "INSERT INTO floor (id, received_at, body) VALUES (%s, now(), %s)"
_SECRET = os.environ.get("STRIPE_WEBHOOK_SECRET", "").encode()
_local = threading.local()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer 200 once the body is in the database."""
    if environ["REQUEST_METHOD"] != "POST":
        return _answer(start_response, "405 Method Not Allowed")
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    timestamp, _, signature = environ["HTTP_STRIPE_SIGNATURE"].partition(",v1=")
    signed = timestamp.removeprefix("t=").encode() + b"." + body
    digest = hmac.digest(_SECRET, signed, hashlib.sha256).hex()
    if not hmac.compare_digest(digest, signature):
        return _answer(start_response, "401 Unauthorized")
    _connection().execute(INSERT, (uuid4(), body), prepare=True)
    return _answer(start_response, "200 OK")


def _answer(start_response: Callable[..., Any], status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Length", "0")])
    return [b""]


def _connection() -> psycopg.Connection[Any]:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _local.connection
