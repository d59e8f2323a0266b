"""Group commit of web requests: one write on PostgreSQL, and each request's own outcome."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.exc import DBAPIError

from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest
from hub.core.inbound.insert_postgresql import Batch, insert_new
from hub.core.models import EventKey, RequestState
from hub.gateways.database.engine import Database, engine_options, open_database
from hub.web import receiver
from hub.web.receiver import GroupCommitWriter, store_request
from tests.core.making import NOW, Town, deliveries_of, events_of, requests_of
from tests.running import until

Spoil = Callable[[Batch], None]

ACCEPTED, DUPLICATE = RequestState.ACCEPTED, RequestState.DUPLICATE


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = open_database(postgresql_url)
    yield database
    database.engine.dispose()


@pytest.fixture
def town() -> Town:
    return Town()


class Waker:
    def wake(self) -> None:
        """Do nothing."""


class Rush:
    """Stores requests at one moment: the first is written alone, the others behind it."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = database
        self.groups: list[int] = []
        self._may_go_on = Event()
        monkeypatch.setattr(receiver, "insert_new", self._insert_new)
        monkeypatch.setattr(receiver, "GROUP_PATIENCE_S", 60)
        self.waker = Waker()
        self._together = GroupCommitWriter(self)

    def _insert_new(self, connection, batches):
        self.groups.append(len(batches))
        assert self._may_go_on.wait(20)
        return insert_new(connection, batches)

    def __call__(
        self, requests: Sequence[PreparedRequest], beside: Sequence[PreparedRequest] = ()
    ) -> list[IngestResult | BaseException]:
        """Return the outcome of each; those `beside` must be stored before the others go on."""
        with ThreadPoolExecutor(len(requests) + len(beside)) as pool:
            calls = []
            for place, prepared in enumerate(requests):
                calls.append(pool.submit(store_request, self, self._together, prepared))
                until(
                    lambda n=place: bool(self.groups) and self._together.waiting == n, 10, "a place"
                )
            for prepared in beside:
                calls.append(pool.submit(store_request, self, self._together, prepared))
                calls[-1].result(20)
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


def not_boolean(batch: Batch) -> None:
    batch.events[0]["live"] = "no boolean"


def not_json(batch: Batch) -> None:
    batch.events[0]["data"] = {"n": 2**64}


@pytest.mark.parametrize("spoil", [not_boolean, not_json])
def test_one_that_cannot_be_stored_spoils_nobody_elses(database, town, rush, spoil: Spoil) -> None:
    requests = [town.prepared({"id": f"e{n}"}) for n in range(5)]
    assert requests[2].batch is not None
    spoil(requests[2].batch)
    taken = rush(requests)
    assert isinstance(taken[2], DBAPIError | TypeError)
    assert [one.state for one in taken if isinstance(one, IngestResult)] == [ACCEPTED] * 4
    with database.read() as connection:
        assert {one.external_id for one in events_of(connection)} == {"e0", "e1", "e3", "e4"}


def test_one_that_waits_for_a_lock_holds_up_nobody_else(postgresql_url, town, monkeypatch) -> None:
    database = Database(create_engine(
        postgresql_url, **engine_options(postgresql_url, lock_timeout_s=0.2)
    ))  # fmt: skip
    rush = Rush(database, monkeypatch)
    requests = [town.prepared({"id": f"e{n}"}) for n in range(5)]
    held = {"source": "provider", "external_id": "e2", "event_id": uuid4(), "fingerprint": b"x"}
    with open_database(postgresql_url).write() as other:
        other.execute(insert(EventKey), held | {"first_seen_at": NOW})
        taken = rush(requests)
        other.rollback()
    assert rush.groups == [1, 4]
    assert isinstance(taken[2], DBAPIError)
    assert [one.state for one in taken if isinstance(one, IngestResult)] == [ACCEPTED] * 4
    database.engine.dispose()


def test_what_weighs_much_keeps_nobody_waiting_who_came_with_it(database, town, rush) -> None:
    many = town.prepared(*({"id": f"m{n}"} for n in range(200)))
    large = town.prepared({"id": "l"}, body=b'[{"id":"l","data":{}}' + b" " * 300_000 + b"]")
    taken = rush([town.prepared({"id": "e0"}), town.prepared({"id": "e1"})], beside=[many, large])
    assert [one.state for one in taken] == [ACCEPTED] * 4
    assert rush.groups == [1, 1]
    with database.read() as connection:
        assert len(events_of(connection)) == 203


def test_the_request_s_event_is_its_first(database, town, rush) -> None:
    requests = [town.prepared(*({"id": f"e{n}.{m}"} for m in range(10))) for n in (1, 2)]
    rush(requests)
    with database.read() as connection:
        names = {one.id: one.external_id for one in events_of(connection)}
        assert {names[one.event_id] for one in requests_of(connection)} == {"e1.0", "e2.0"}


def test_an_answer_that_is_lost_loses_no_conflict(database, town) -> None:
    with database.read() as connection:
        town.take_in(connection, {"id": "e1"})
        prepared = town.prepared({"id": "e3"}, {"id": "e1", "data": {"name": "another"}})
        insert_new(connection, [prepared.batch])  # and the reply is lost
        taken = ingest(connection, prepared)
        assert (taken.state, taken.conflict) == (ACCEPTED, True)
        [kept] = [one for one in requests_of(connection) if one.id == prepared.row["id"]]
        assert kept.conflict
        assert {one.external_id: one.duplicates for one in events_of(connection)} == {
            "e1": 1, "e3": 0,
        }  # fmt: skip


def test_a_line_that_is_dead_loses_nothing_of_a_group(
    database, town, rush, postgresql_url, monkeypatch
) -> None:
    held_up = receiver.insert_new

    def cut_off(connection, batches):
        if len(batches) > 1:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with open_database(postgresql_url).read() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return held_up(connection, batches)

    monkeypatch.setattr(receiver, "insert_new", cut_off)
    taken = rush([town.prepared({"id": f"e{n}"}) for n in range(5)])
    assert rush.groups == [1, 4]
    assert [one.state for one in taken] == [ACCEPTED] * 5
    with database.read() as connection:
        assert len(events_of(connection)) == len(requests_of(connection)) == 5
