"""Fast path for webhooks, called from the server's loop: verify, parse and route, no blocking.

What is out of the ordinary in any way is left to the application: it answers handshakes, refuses
what does not verify, keeps what cannot be read. Nothing is answered here before it is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from flask import Flask
from psycopg.pq import Format
from werkzeug.sansio.utils import host_is_trusted

from adapters import InboundRequest, NotVerified
from hub.core.hub import Hub
from hub.core.inbound.ingest import PreparedRequest, prepare_request
from hub.core.inbound.insert_postgresql import Batch, insert_statement, rows_of
from hub.gateways.line import Line, bytea_array
from hub.web.errors import unexpected_error
from hub.web.receiver import GroupCommitWriter, finish, store_request, weight_of
from hub.web.server.head import Head
from hub.web.source_counters import SourceCounters
from hub.web.webhooks import after_stored

# A write that waits for a lock longer than that continues in a thread.
LOCK_TIMEOUT_S = 0.1
_STATEMENT = insert_statement("$1", "$2", "$3", "$4")
_FORMATS = (Format.TEXT, Format.TEXT, Format.BINARY, Format.TEXT)


@dataclass(slots=True)
class PendingWebhook:
    """A webhook that can be stored. `new`: the ids of its new events, once that is known."""

    slug: str
    received_at: datetime
    prepared: PreparedRequest
    batch: Batch
    weight: int
    new: Sequence[UUID] | None = None

    @property
    def is_stored(self) -> bool:
        """Return whether all of it is new and stored, so that its answer takes no time."""
        return self.new is not None and len(self.new) == len(self.batch.events)


class PlainAnswer(NamedTuple):
    """Response to a webhook: status, headers and body."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class FastPath:
    """Interface of the hub to a server's loop. `url`: the database's, which is PostgreSQL."""

    def __init__(self, app: Flask, url: str) -> None:
        self._hub: Hub = app.extensions["hub"]
        self._counters: SourceCounters = app.extensions["hub_source_counters"]
        self._writer: GroupCommitWriter = app.extensions["hub_group_commit"]
        self._url = url
        self._headers: Sequence[tuple[str, str]] = app.extensions["hub_headers"]
        trusted = app.config["TRUSTED_HOSTS"]
        self._trusts = lru_cache(maxsize=64)(lambda host: host_is_trusted(host, trusted))

    def open_line(self) -> Line:
        """Connect a database line for `send`; blocks.

        Raises:
            LineError: the database cannot be reached, or does not take the statement.
        """
        return Line.open(self._url, _STATEMENT, lock_timeout_s=LOCK_TIMEOUT_S)

    def begin(self, head: Head, body: bytes) -> PendingWebhook | None:
        """Return a webhook, ready to be stored; None if the application must handle the request."""
        source = self._hub.configuration.sources.get(head.slug)
        host = head.headers.get("host", "")
        if source is None or not source.enabled or not host or not self._trusts(host):
            return None
        adapter = self._hub.inbound(head.slug)
        if adapter.takes_forms or len(body) > source.max_bytes:
            return None
        received = InboundRequest(
            method="POST",
            url=f"{self._hub.public_url or f'http://{host}'}{head.target}",
            headers=head.headers,
            body=body,
            received_at=datetime.now(UTC),
        )
        try:
            if adapter.handshake(received):
                return None
            prepared = prepare_request(
                source=source, adapter=adapter, router=self._hub.router, request=received
            )
        except NotVerified:
            return None
        if prepared.batch is None:
            return None
        weight = weight_of(prepared.batch)
        return PendingWebhook(head.slug, received.received_at, prepared, prepared.batch, weight)

    def send(self, line: Line, webhooks: Sequence[PendingWebhook]) -> None:
        """Send webhooks to the database in one statement.

        Raises:
            LineError
        """
        rows = rows_of([one.batch for one in webhooks])
        bodies = bytea_array(rows.bodies)
        line.send((rows.events, rows.requests, bodies, rows.deliveries), _FORMATS)

    def note(self, webhooks: Sequence[PendingWebhook], new_ids: Sequence[bytes]) -> None:
        """Note which events were new; `new_ids` is what the line returned."""
        found = set(new_ids)
        for one in webhooks:
            one.new = [row["id"] for row in one.batch.events if row["id"].bytes in found]

    def answer(self, one: PendingWebhook) -> PlainAnswer:
        """Return the answer to a webhook, once it is stored; blocks unless it is stored already.

        Storing again what a line may have stored is harmless: ids and keys stay the same.
        """
        try:
            if one.new is None:
                ingested = store_request(self._hub, self._writer, one.prepared)
            else:
                ingested = finish(self._hub, one.prepared, one.batch, one.new)
            reply = after_stored(self._hub, self._counters, one.slug, one.received_at, ingested)
        except Exception as error:  # noqa: BLE001 - as the application does with what a view raises
            refusal = unexpected_error(error)
            headers = (*refusal.headers.to_wsgi_list(), *self._headers)
            return PlainAnswer(refusal.status_code, headers, refusal.get_data())
        kind = () if reply.content_type is None else (("Content-Type", reply.content_type),)
        length = ("Content-Length", str(len(reply.body)))
        return PlainAnswer(reply.status, (*kind, length, *self._headers), reply.body)
