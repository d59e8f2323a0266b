"""Web process on a real socket, its stored rows, and a client that may break the protocol."""

import hmac
import http.client
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from adapters.form import submission_tokens
from hub.core.models import SourceState
from hub.core.queries.event_rows import event_json
from hub.core.queries.requests import find_request
from hub.gateways.crypto import local_secret
from hub.gateways.database.engine import Database, open_database
from tests.listing import delivery_rows, event_rows, request_rows
from tests.running import OPS_SECRET, STRIPE_SECRET, RunningHub, stripe_signature

PREVIOUS_SECRET = "whsec_the_secret_before_this_one"
MAIL_SECRET = "what-the-address-of-the-mails-ends-with"
ORIGIN = "https://acme.example"
SMALL_BYTES = 4 * 1024
CONFIG = f"""
limits: {{forms: {{repeats: 10000/1h, min_seconds: 0}}}}
sources:
  stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}", {PREVIOUS_SECRET}]}}
  counted: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}
  small: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"], max_bytes: 4KiB}}
  large: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"], max_bytes: 4MiB}}
  closed: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"], enabled: false}}
  mail: {{adapter: sendgrid_inbound, secrets: [{MAIL_SECRET}]}}
  contact:
    adapter: form
    origins: ["{ORIGIN}"]
    redirect: "{ORIGIN}/thanks"
    redirects: ["{ORIGIN}/thanks-roof"]
    fields:
      name: {{label: "Your <name>"}}
      email: {{type: email, required: true}}
      message: {{type: longtext}}
  plain: {{adapter: form, fields: {{email: {{type: email, required: true}}}}}}
  job:
    adapter: form
    origins: ["{ORIGIN}"]
    title: "Ask for a <quote>"
    honeypot: website
    fields:
      name: {{required: true, placeholder: "Jane Doe", help: "As on the {{{{7*7}}}} bill"}}
      email: {{type: email, required: true}}
      phone: {{type: phone}}
      service: {{type: choice, choices: [Roofing, Gutters]}}
      extras: {{type: choices, choices: [Skylight, Insulation], max: 1}}
      rooms: {{type: number, min: 1, max: 20}}
      start: {{type: date, min: "2026-01-01"}}
      message: {{type: longtext, max: 4000}}
      photos: {{type: file, max: 2, max_bytes: 1MiB, accept: ["image/*", ".pdf"]}}
      campaign: {{type: hidden, value: none}}
      consent: {{type: consent, text: "Text me about my request", required: true}}
destinations:
  ops: {{adapter: http, url: "https://ops.example/hook", secret: {OPS_SECRET}}}
routes:
  payments: {{on: "payment.*", live: any, do: ops.post, with: {{body: "{{{{ event.id }}}}"}}}}
  leads: {{on: "lead.*", do: ops.post, with: {{body: "{{{{ data.email }}}}"}}}}
"""
ENVIRON = {"STRIPE_WEBHOOK_SECRET": STRIPE_SECRET}
PATIENCE_S = 30
MOST_NEW = 200


@dataclass(frozen=True)
class Answer:
    """Response of the server; `headers` has lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Kept:
    """Database rows that a request left, and that were not there before."""

    requests: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Web:
    """Running web process and its database."""

    def __init__(self, running: RunningHub, database_url: str) -> None:
        self.running = running
        self.port = running.port
        self.store: Database = open_database(database_url, pool_size=2)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def exchange(self, *pieces: bytes, method: str = "POST") -> Answer | None:
        """Send bytes unchanged; return the answer, None when there was none."""
        with self.connect() as sock:
            return exchange(sock, *pieces, method=method)

    def send(
        self,
        body: bytes,
        *headers: tuple[str, str],
        path: str = "/webhooks/stripe",
        method: str = "POST",
    ) -> Answer:
        """Send a body with a valid signature, unless the headers bring one."""
        answer = self.exchange(request(body, *headers, path=path, method=method), method=method)
        assert answer is not None
        return answer

    def ids(self) -> set[str]:
        """Return the ids of the newest requests and events."""
        with self.store.read() as connection:
            rows = [
                *request_rows(connection),
                *event_rows(connection),
            ]
        return {row["id"] for row in rows}

    def kept(self, before: set[str]) -> Kept:
        """Return the rows whose ids are not in `before`."""
        with self.store.read() as connection:
            requests = request_rows(connection, limit=MOST_NEW)
            events = event_rows(connection, limit=MOST_NEW)
        fresh = [[row for row in rows if row["id"] not in before] for rows in (requests, events)]
        return Kept(*fresh)

    def shown(self, request_id: str) -> dict[str, Any]:
        """Return a request with its headers and body."""
        with self.store.read() as connection:
            row = find_request(connection, UUID(request_id))
        assert row is not None
        return row

    def event(self, event_id: str) -> dict[str, Any]:
        """Return an event with its data."""
        with self.store.read() as connection:
            row = event_json(connection, UUID(event_id))
        assert row is not None
        return row

    def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return delivery_rows(connection, event=event_id, limit=10)

    def rejected(self, source: str) -> int:
        """Return the number of counted rejections of a source."""
        statement = select(SourceState.rejected).where(SourceState.source == source)
        with self.store.read() as connection:
            return connection.execute(statement).scalar_one_or_none() or 0


def exchange(sock: socket.socket, *pieces: bytes, method: str = "POST") -> Answer | None:
    """Send bytes on a connection; return the answer, None when there was none."""
    try:
        for piece in pieces:
            sock.sendall(piece)
        return read_answer(sock, method)
    except (ConnectionError, http.client.BadStatusLine):
        return None


def read_answer(sock: socket.socket, method: str = "POST") -> Answer:
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def is_over(sock: socket.socket) -> bool:
    """Return True once the server has closed a connection, False if it says more instead."""
    try:
        return sock.recv(65536) == b""
    except ConnectionError:
        return True


def request(
    body: bytes,
    *headers: tuple[str, str],
    path: str = "/webhooks/stripe",
    method: str = "POST",
    chunks: Sequence[bytes] | None = None,
) -> bytes:
    """Return a complete request; headers that are not given are valid."""
    said = {name.lower() for name, _ in headers}
    usual = {"Host": "127.0.0.1", "Stripe-Signature": stripe_signature(body)}
    usual |= {"Content-Length": str(len(body))} if chunks is None else {}
    usual |= {} if chunks is None else {"Transfer-Encoding": "chunked"}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in usual.items() if name.lower() not in said]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (body if chunks is None else chunked(chunks))


def chunked(chunks: Sequence[bytes]) -> bytes:
    """Return chunks with their framing, and the last chunk."""
    framed = (b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"".join(framed) + b"0\r\n\r\n"


def token(web: Web, nonce: str, *, age_s: float = 30.0) -> str:
    """Return a token of the form `contact`, issued so long ago by a hub without SECRET_KEY."""
    secret = local_secret(web.running.folder / "var").encode()
    key = hmac.digest(secret, b"form:contact", "sha256")
    return submission_tokens.issue(key, datetime.now(UTC) - timedelta(seconds=age_s), nonce)
