"""Intake on PostgreSQL: commits for what comes again, and which of them wait for the disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from adapters import InboundRequest
from hub.core.inbound import byte_budget
from hub.core.inbound.body_encoder import BodyEncoder
from hub.core.inbound.ingest import store_rejected
from hub.core.leads.held import hold
from hub.core.models import RequestState
from hub.gateways.database.engine import Database, open_database
from hub.web.intake import Intake
from hub.web.source_counters import SourceCounters
from tests.core.making import Town, events_of, request, requests_of
from tests.receiving import prepare

FIRST = {"id": "e1", "data": {"amount": 1}}
TRANSACTIONS = text(
    "SELECT xmin::text FROM events UNION SELECT xmin::text FROM source_states "
    "UNION SELECT xmin::text FROM inbound_requests WHERE state = 'duplicate'"
)


@dataclass
class Door(Town):
    """Hub with a store, and how each of its transactions was committed."""

    store: Any = None
    bodies: BodyEncoder = field(default_factory=BodyEncoder)
    commits: list[str] = field(default_factory=list)

    def post(self, *events: dict[str, Any]) -> RequestState:
        """Take in a request with these events; note only the commits that it causes."""
        intake = Intake(self, SourceCounters(self.store))  # type: ignore[arg-type]
        self.commits.clear()
        [stored] = intake.store([self.prepared(*events)])
        return stored.state

    def write(self, work: Callable[[Connection], object]) -> object:
        self.commits.clear()
        with self.store.write() as connection:
            return work(connection)


@pytest.fixture
def door(postgresql_url: str) -> Iterator[Door]:
    database: Database = open_database(postgresql_url, pool_size=2)
    door = Door(store=database)

    @event.listens_for(database.engine, "commit")
    def note(connection: Connection) -> None:
        door.commits.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar_one())

    yield door
    database.engine.dispose()


def test_what_comes_again_is_stored_and_counted_by_one_commit(door: Door) -> None:
    assert door.post(FIRST) is RequestState.ACCEPTED
    assert door.post(FIRST) is RequestState.DUPLICATE
    assert door.commits == ["on"]
    with door.store.read() as connection:
        assert len(connection.execute(TRANSACTIONS).all()) == 1
        assert [row.duplicates for row in events_of(connection)] == [1]
    assert door.post(FIRST, {"id": "e2"}) is RequestState.ACCEPTED
    with door.store.read() as connection:
        duplicates = {row.external_id: row.duplicates for row in events_of(connection)}
    assert duplicates == {"e1": 2, "e2": 0}


def test_what_is_only_counted_waits_for_no_disk(door: Door, monkeypatch) -> None:
    door.post(FIRST)
    monkeypatch.setattr(byte_budget, "DAY_BYTES", 0)
    assert door.post(FIRST) is RequestState.DUPLICATE
    assert door.commits == ["off"]
    assert door.post({"id": "e1", "data": {"amount": 2}}) is RequestState.DUPLICATE
    assert door.commits == ["on"], "a conflict is stored nowhere else"

    held = hold(prepare(door, request({"id": "e3"}), "provider"), "odd")
    intake = Intake(door, SourceCounters(door.store))  # type: ignore[arg-type]
    door.commits.clear()
    assert intake.store_held(held) is None
    assert door.commits == ["off"]

    wrong: InboundRequest = request(FIRST, key="wrong")
    assert door.write(
        lambda connection: store_rejected(
            connection, source="provider", request=wrong, reason="wrong key"
        )
    ) is None  # fmt: skip
    assert door.commits == ["off"]
    with door.store.read() as connection:
        [state] = connection.execute(text("SELECT over_budget FROM source_states")).scalars()
        assert state == 3
        assert [row.duplicates for row in events_of(connection)] == [2]
        assert len(requests_of(connection)) == 2
