"""Test hub for core: a provider, routes, and shortcuts to the tables."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from marshmallow import Schema
from sqlalchemy import Connection, select, text, update

from adapters import Effect, Event, Inbound, InboundRequest, NotVerified, Sample, Unreadable
from adapters.http.outbound import HttpOutbound
from hub.core.configuration import Configuration, Destination, Route, Site, Source
from hub.core.delivery.claim import claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.lanes import Lease, acquire, ensure
from hub.core.delivery.prepare import Claimed
from hub.core.expressions.templates import Condition, Parameters
from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest
from hub.core.inbound.receive import Receiver
from hub.core.inbound.routing import Router, site_context
from hub.core.models import (
    Attempt,
    Delivery,
    Lane,
    StoredEvent,
    StoredRequest,
    database_later,
)
from hub.gateways.database.engine import Database
from tests.receiving import prepare

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
SITE = Site(name="Acme", country="US", timezone="America/New_York")


class Provider(Inbound):
    """Inbound adapter whose body is a JSON array of events.

    The header `key` is its signature; the body `torn` cannot be read.
    """

    name = "provider"
    settings_schema = Schema
    native_types: ClassVar = {}
    ignored_types: ClassVar = {}

    def __init__(self, settings: Any = None) -> None:
        self.key = (settings or {}).get("key", "good")
        self.reads_anything = False
        self.signed_by = "secrets[0]"

    def verify(self, request: InboundRequest) -> str:
        if request.headers.get("key") != self.key:
            raise NotVerified("the header `key` is wrong")
        return self.signed_by

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        if request.body == b"torn" and not self.reads_anything:
            raise Unreadable("the body is torn")
        if request.body == b"torn":
            return [told("mended")]
        return [_event(one) for one in json.loads(request.body)]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        raise LookupError("none")

    def sample_types(self) -> Sequence[str]:
        return ()


def _event(one: dict[str, Any]) -> Event:
    data = one.get("data", {})
    digest = sha256(json.dumps(data, sort_keys=True).encode()).digest()
    return Event(
        type=one.get("type", "lead.submitted"),
        native_type=one.get("native_type", "lead"),
        external_id=one["id"],
        occurred_at=NOW,
        data=data | {"native": one},
        live=one.get("live", True),
        fact_key=one.get("fact_key"),
        fact_window_s=one.get("fact_window_s"),
        fingerprint=digest,
        incomplete=one.get("incomplete", False),
    )


def told(id: str = "e1", **changes: Any) -> Event:
    """Return an event that did not come in a request."""
    return _event({"id": id} | changes)


def request(
    *events: dict[str, Any], body: bytes | None = None, key: str = "good", at: datetime = NOW
) -> InboundRequest:
    """Return a request of `Provider` with these events."""
    content = json.dumps(list(events)).encode() if body is None else body
    headers = {"key": key, "authorization": "Bearer hush", "content-type": "application/json"}
    return InboundRequest("POST", "http://hub/webhooks/provider", headers, content, at)


def route(name: str = "all", **changes: Any) -> Route:
    """Return a route of every lead to `ops.post`, with these changes."""
    values: dict[str, Any] = {
        "name": name, "on": ("lead.submitted",), "destination": "ops", "action": "post",
        "parameters": Parameters(changes.pop("with_", {"body": "{{ event.external_id }}"})),
    }  # fmt: skip
    if isinstance(when := changes.get("when"), str):
        changes["when"] = Condition(when)
    return Route(**values | changes)


@dataclass
class Town:
    """Configuration and the provider that sends to it; stands where core expects a hub."""

    routes: Sequence[Route] = field(default_factory=lambda: [route()])
    destinations: Sequence[str] = ("ops",)
    provider: Provider = field(default_factory=Provider)
    taken: int = 0
    public_url: str | None = None

    @property
    def configuration(self) -> Configuration:
        return Configuration(
            version="0123456789ab",
            site=SITE,
            sources={"provider": Source("provider", "provider", {})},
            destinations={name: Destination(name, "http", {}) for name in self.destinations},
            routes={one.name: one for one in self.routes},
        )

    @property
    def router(self) -> Router:
        return Router(self.configuration)

    @property
    def receiver(self) -> Receiver:
        # Every source is the provider's, also one that only a test knows.
        adapters = defaultdict(lambda: self.provider)
        return Receiver(self.configuration.sources, adapters, self.router)

    def inbound(self, source: str) -> Provider:
        return self.provider

    def effect(self, destination: str, action: str) -> Effect:
        return Effect.KEYED

    def matched_by_content(self, destination: str, action: str) -> bool:
        return False

    def take_in(
        self, connection: Connection, *events: dict[str, Any], **options: Any
    ) -> IngestResult:
        """Ingest a request with these events, a second after the one before."""
        return ingest(connection, self.prepared(*events, **options))

    def prepared(self, *events: dict[str, Any], **options: Any) -> PreparedRequest:
        """Return a request with these events, ready to be stored, a second after the one before."""
        options.setdefault("at", NOW + timedelta(seconds=self.taken))
        self.taken += 1
        return prepare(self, request(*events, **options), "provider")

    def claim(
        self, connection: Connection, lease: Lease, *, slots: int = 8, sandbox: bool = False
    ) -> list[Claimed]:
        """Claim the due deliveries of a lane."""
        contexts = RenderContexts(
            connection, site=site_context(self.configuration.site), inbound=self.inbound, now=NOW
        )
        return claim(
            connection, lease, slots=slots, router=self.router, contexts=contexts, now=NOW,
            sandbox=sandbox, actions=HttpOutbound.actions,
        )[0]  # fmt: skip


def lease_of(connection: Connection, destination: str = "ops", holder: str = "me") -> Lease:
    """Acquire a lane that has work."""
    ensure(connection, [destination])
    [lease] = acquire(connection, holder, [destination], most=1)
    return lease


def end_lease(connection: Connection, destination: str = "ops") -> None:
    """Expire a lease a second ago, by the database's clock."""
    connection.execute(
        update(Lane).where(Lane.destination == destination).values(lease_until=database_later(-1))
    )


def make_due(connection: Connection) -> None:
    """Make everything that waits due since a second."""
    connection.execute(
        update(Delivery)
        .where(Delivery.state.in_(["waiting", "pending", "retrying"]))
        .values(next_attempt_at=database_later(-1))
    )


def rows(connection: Connection, table: Any, *order: Any) -> list[Any]:
    """Return a table's rows, the oldest first."""
    order = order or (table.id,)
    return list(connection.execute(select(table.__table__).order_by(*order)))


def requests_of(connection: Connection) -> list[Any]:
    return rows(connection, StoredRequest)


def events_of(connection: Connection) -> list[Any]:
    return rows(connection, StoredEvent, StoredEvent.external_id)


def deliveries_of(connection: Connection) -> list[Any]:
    return rows(connection, Delivery, Delivery.created_at, Delivery.id)


def attempts_of(connection: Connection) -> list[Any]:
    return rows(connection, Attempt, Attempt.delivery_id, Attempt.n)


def one_delivery(connection: Connection, **values: Any) -> UUID:
    """Set columns of the only delivery; return its id."""
    [delivery] = deliveries_of(connection)
    if values:
        connection.execute(update(Delivery).where(Delivery.id == delivery.id).values(**values))
    return delivery.id


def until_somebody_waits(database: Database, *, or_has_ended: Future[Any]) -> None:
    """Wait until another thread waits for a lock, or has finished without one."""
    if database.dialect != "postgresql":  # SQLite has one writer at a time
        return
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    ends_s = time.monotonic() + 10
    with database.read() as connection:
        while not (or_has_ended.done() or connection.scalar(waiting)):
            assert time.monotonic() < ends_s, "it neither waits nor ends"
            time.sleep(0.01)
