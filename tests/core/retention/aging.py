"""Old rows for the tests of retention, and a clock that deletes step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from hub.core.configuration import Configuration, Retention
from hub.core.ids import new_id
from hub.core.inbound.ingest import ingest
from hub.core.leads.held import hold
from hub.core.models import Attempt, Base, Delivery, StoredEvent
from hub.core.retention.schedule import deletions
from hub.core.retention.walk import Walk
from hub.core.search.indexer import index_some
from hub.gateways.database.engine import Database
from tests.core.making import NOW, Town, request
from tests.receiving import prepare

DAY = timedelta(days=1)
OLD = NOW - 401 * DAY


@dataclass
class Attic:
    """Database with old rows, and the walks through it; `retention` are the spans in force."""

    database: Database
    town: Town
    retention: Retention = field(default_factory=Retention)
    version: str = "0123456789ab"
    made: int = 0
    pipelined: bool = True
    walks: dict[str, Walk] = field(default_factory=dict)

    @property
    def configuration(self) -> Configuration:
        return replace(self.town.configuration, retention=self.retention, version=self.version)

    def store(
        self, connection: Connection, at: datetime, *ids: str, held: bool = False, **event: Any
    ) -> list[UUID]:
        """Store a request of that time with events of these ids; return their ids, indexed."""
        self.made += 1
        at += timedelta(milliseconds=self.made)
        events = [{"id": one, "data": {"name": "Jane"}} | event for one in ids]
        prepared = prepare(self.town, request(*events, at=at), "provider")
        stored = ingest(connection, hold(prepared, "odd") if held else prepared)
        index_some(connection, most=100)
        return list(stored.new_event_ids)

    def attempt(
        self, connection: Connection, event_id: UUID, state: str = "failed", **values: Any
    ) -> UUID:
        """Give the event's deliveries a state and one attempt each; return the last's delivery."""
        of_it = Delivery.event_id == event_id
        connection.execute(update(Delivery).where(of_it).values(state=state))
        at = self.received_at(connection, event_id)
        ids = connection.execute(select(Delivery.id).where(of_it)).scalars().all()
        for one in ids:
            row = {"id": new_id(at), "delivery_id": one, "n": 1, "key": str(one),
                   "state": "rejected", "parameters": {}, "started_at": at,
                   "message": "no such contact: jane@example.com"} | values  # fmt: skip
            connection.execute(insert(Attempt).values(row))
        connection.execute(update(Delivery).where(of_it).values(attempts=1))
        return ids[-1]

    def received_at(self, connection: Connection, event_id: UUID) -> datetime:
        found = select(StoredEvent.received_at).where(StoredEvent.id == event_id)
        return connection.execute(found).scalar_one()

    def old(self, connection: Connection, id: str = "e1", state: str = "succeeded") -> UUID:
        """Store an event of 401 days ago whose deliveries have this state; return its id."""
        [event_id] = self.store(connection, OLD, id)
        self.attempt(connection, event_id, state)
        return event_id

    def clean(self, *, now: datetime = NOW, most: int = 500) -> Mapping[str, int]:
        """Run every walk to its end; return the number of deleted rows by kind."""
        found = {kind: self.walk(kind, now=now, most=most) for kind in self.kinds(now)}
        return {kind: count for kind, count in found.items() if count}

    def kinds(self, now: datetime = NOW) -> list[str]:
        return list(deletions(self.configuration, now=now))

    def walk(self, kind: str, *, now: datetime = NOW, most: int = 500) -> int:
        while not self.step(kind, now=now, most=most):
            pass
        return self.walks[kind].take_count()

    def step(self, kind: str, *, now: datetime = NOW, most: int = 500) -> bool:
        """Make one step of a walk; return whether that was its last."""
        delete = deletions(self.configuration, now=now)[kind]
        walk = self.walks.setdefault(kind, Walk(kind))
        store = self.database
        with store.write_pipelined() if self.pipelined else store.write() as connection:
            step = delete(connection, walk.after, most)
        return walk.take_step(step, 0.0)


def count(connection: Connection, table: type[Base], *conditions: Any) -> int:
    """Return the number of rows of a table that meet conditions."""
    found = select(func.count()).select_from(table).where(*conditions)
    return int(connection.execute(found).scalar_one())
