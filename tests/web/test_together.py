"""Requests of one moment are one write on PostgreSQL; each gets the verdict it would get alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.core.ingest import Ingested, Prepared
from hub.core.ingest_statement import insert_new
from hub.core.models import RequestState
from hub.gateways.database import Database, open_database
from hub.web import storing
from hub.web.storing import Together, store
from tests.core.making import Town, deliveries_of, events_of, requests_of
from tests.running import until

ACCEPTED, DUPLICATE = RequestState.ACCEPTED, RequestState.DUPLICATE


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = open_database(postgresql_url)
    yield database
    database.engine.dispose()


@pytest.fixture
def town() -> Town:
    return Town()


class Rush:
    """Brings requests in at one moment: the first is written alone, the others behind it."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = database
        self.groups: list[int] = []
        self._may_go_on = Event()
        monkeypatch.setattr(storing, "insert_new", self._insert_new)
        monkeypatch.setattr(storing, "GROUP_PATIENCE_S", 60)
        self._together = Together(database)

    def _insert_new(self, connection, batches):
        self.groups.append(len(batches))
        assert self._may_go_on.wait(20)
        return insert_new(connection, batches)

    def __call__(self, requests: Sequence[Prepared]) -> list[Ingested | BaseException]:
        with ThreadPoolExecutor(len(requests)) as pool:
            calls = []
            for place, prepared in enumerate(requests):
                calls.append(pool.submit(store, self, self._together, prepared))
                until(
                    lambda n=place: bool(self.groups) and self._together.waiting == n, 10, "a place"
                )
            self._may_go_on.set()
            return [call.exception(20) or call.result() for call in calls]


@pytest.fixture
def rush(database: Database, monkeypatch: pytest.MonkeyPatch) -> Rush:
    return Rush(database, monkeypatch)


def test_requests_of_one_moment_are_one_write(database, town, rush) -> None:
    requests = [town.prepared({"id": f"e{n}"}, {"id": f"e{n}b"}) for n in range(5)]
    taken = rush(requests)
    assert rush.groups == [1, 4]
    assert [one.state for one in taken] == [ACCEPTED] * 5
    with database.read() as connection:
        kept = {one.id: one for one in requests_of(connection)}
        events = {one.id: one for one in events_of(connection)}
        deliveries = deliveries_of(connection)
    assert set(kept) == {one.row["id"] for one in requests}
    for prepared, one in zip(requests, taken, strict=True):
        row = kept[prepared.row["id"]]
        assert (row.body, row.received_at) == (prepared.row["body"], prepared.row["received_at"])
        assert row.event_id in one.new_event_ids
        assert {events[event_id].request_id for event_id in one.new_event_ids} == {row.id}
    assert sorted(one.event_id for one in deliveries) == sorted(events)


def test_the_same_event_twice_in_one_write_is_one_and_a_duplicate(database, town, rush) -> None:
    requests = [
        town.prepared({"id": "e0"}),
        town.prepared({"id": "e1"}),
        town.prepared({"id": "e1"}),
        town.prepared({"id": "e1", "data": {"name": "another"}}),
        town.prepared({"id": "e2"}, {"id": "e1"}),
    ]
    taken = rush(requests)
    assert rush.groups == [1, 4]
    assert [one.state for one in taken] == [ACCEPTED, ACCEPTED, DUPLICATE, DUPLICATE, ACCEPTED]
    assert [one.conflict for one in taken] == [False, False, False, True, False]
    with database.read() as connection:
        events = {one.external_id: one for one in events_of(connection)}
        kept = [one.state for one in requests_of(connection)]
        assert len(deliveries_of(connection)) == 3
    assert {name: one.duplicates for name, one in events.items()} == {"e0": 0, "e1": 3, "e2": 0}
    assert sorted(kept) == ["accepted"] * 3 + ["duplicate"] * 2


def test_one_that_the_database_refuses_spoils_nobody_elses(database, town, rush) -> None:
    requests = [town.prepared({"id": f"e{n}"}) for n in range(5)]
    assert requests[2].batch is not None
    requests[2].batch.events[0]["live"] = "no boolean"
    taken = rush(requests)
    assert isinstance(taken[2], DBAPIError)
    assert [one.state for one in taken if isinstance(one, Ingested)] == [ACCEPTED] * 4
    with database.read() as connection:
        assert {one.external_id for one in events_of(connection)} == {"e0", "e1", "e3", "e4"}


def test_a_line_that_is_dead_loses_nothing_of_a_group(
    database, town, rush, postgresql_url, monkeypatch
) -> None:
    held_up = storing.insert_new

    def cut_off(connection, batches):
        if len(batches) > 1:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with open_database(postgresql_url).read() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return held_up(connection, batches)

    monkeypatch.setattr(storing, "insert_new", cut_off)
    taken = rush([town.prepared({"id": f"e{n}"}) for n in range(5)])
    assert rush.groups == [1, 4]
    assert [one.state for one in taken] == [ACCEPTED] * 5
    with database.read() as connection:
        assert len(events_of(connection)) == len(requests_of(connection)) == 5
