"""Byte budgets of sources: exact when many store at once, and anew each day."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from adapters import InboundRequest
from hub.core.configuration import Source
from hub.core.inbound import byte_budget
from hub.core.inbound.byte_budget import (
    MIB,
    BudgetUse,
    ends_at,
    note_over_budget,
    stored_bytes,
    take,
    use_of,
)
from hub.core.inbound.header_limit import HEADERS_MOST_BYTES, URL_MOST_BYTES
from hub.core.inbound.ingest import MAX_TRACE_BYTES, ingest, new_request_row, store_rejected
from hub.core.leads.held import hold, store_held
from hub.core.models import Alert, RequestState, SourceState, StoredRequest
from hub.core.monitoring import alerts
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.monitoring.storage import alert_storage
from hub.core.ports import DiskElsewhere
from tests.core.making import NOW, events_of, request, requests_of
from tests.receiving import prepare

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
THREADS, TRIES, SIZE = 8, 5, 1000


def used(connection, source="provider", *, now=NOW) -> BudgetUse:
    state = select(SourceState.__table__).where(SourceState.source == source)
    return use_of(connection.execute(state).one_or_none(), now=now)


def trace(connection, *, at=NOW, size=100):
    refused = request(body=b"x" * size, key="wrong", at=at)
    return store_rejected(connection, source="provider", request=refused, reason="wrong key")


def told(connection) -> list[tuple[str, bool]]:
    found = select(Alert.subject, Alert.ended_at).where(Alert.kind == alerts.OVER_BUDGET)
    return [(row.subject, row.ended_at is None) for row in connection.execute(found)]


@pytest.fixture
def little(monkeypatch) -> int:
    """Let a day's budget be 8 kB."""
    monkeypatch.setattr(byte_budget, "DAY_BYTES", 8000)
    return 8000


def test_a_day_and_source_has_64_mib() -> None:
    assert byte_budget.DAY_BYTES == 64 * 1024 * 1024
    assert str(BudgetUse(3 * MIB, 0)) == "3 of 64 MiB"
    assert str(BudgetUse(0, 0)) == "0 of 64 MiB"
    assert str(BudgetUse(1000, 0)) == "less than 1 of 64 MiB"


def test_a_trace_takes_what_it_stores_and_beyond_the_budget_there_is_none(database, little) -> None:
    with database.write() as connection:
        kept = [trace(connection) for _ in range(20)]
        stored = [stored_bytes(row._mapping) for row in requests_of(connection)]
        assert None in kept
        assert kept == [*[one for one in kept if one], *[None] * kept.count(None)]
        assert len(stored) == len(kept) - kept.count(None)
        assert used(connection) == BudgetUse(sum(stored), kept.count(None))
        assert little - max(stored) < sum(stored) <= little


def test_what_does_not_fit_leaves_room_for_what_does(database, little) -> None:
    with database.write() as connection:
        assert trace(connection, size=little) is None
        assert trace(connection, size=100) is not None


def test_a_source_takes_nothing_of_anothers_budget(database, little) -> None:
    with database.write() as connection:
        assert take(connection, "one", little, now=NOW)
        assert not take(connection, "one", 1, now=NOW)
        assert take(connection, "another", little, now=NOW)


def test_the_budget_begins_anew_at_midnight_and_the_counters_stay(database, little) -> None:
    with database.write() as connection:
        counts = SourceNews(last_rejected_at=NOW)
        counts.counts[RequestState.REJECTED] = 7
        add_up(connection, {"provider": counts})
        last = MIDNIGHT + DAY - timedelta(microseconds=1)
        assert take(connection, "provider", little, now=MIDNIGHT)
        assert not take(connection, "provider", 1, now=last)
        note_over_budget(connection, "provider", now=last)
        assert used(connection, now=last) == BudgetUse(little, 1)
        assert used(connection, now=MIDNIGHT + DAY) == BudgetUse(0, 0)
        assert take(connection, "provider", 5, now=MIDNIGHT + DAY)
        assert used(connection, now=MIDNIGHT + DAY) == BudgetUse(5, 0)
        assert connection.scalar(select(SourceState.rejected)) == 7
    assert ends_at(last) == MIDNIGHT + DAY


def test_a_clock_that_is_behind_at_midnight_does_not_begin_the_day_anew(database, little) -> None:
    behind = MIDNIGHT + DAY - timedelta(seconds=2)
    with database.write() as connection:
        for _ in range(10):
            assert take(connection, "provider", 400, now=MIDNIGHT + DAY)
            assert take(connection, "provider", 400, now=behind)
        assert not take(connection, "provider", 1, now=behind)
        assert not take(connection, "provider", 1, now=MIDNIGHT + DAY)


def test_a_day_from_a_clock_that_was_far_ahead_does_not_last_until_then(database, little) -> None:
    with database.write() as connection:
        assert take(connection, "provider", little, now=NOW + 30 * DAY)
        assert take(connection, "provider", little, now=NOW)
        assert not take(connection, "provider", 1, now=NOW)


def test_what_was_rolled_back_was_not_taken(database, little) -> None:
    with suppress(ZeroDivisionError), database.write() as connection:
        trace(connection)
        raise ZeroDivisionError
    with database.read() as connection:
        assert used(connection) == BudgetUse(0, 0)


def test_of_many_at_once_no_byte_too_many_is_kept(database, monkeypatch) -> None:
    monkeypatch.setattr(byte_budget, "DAY_BYTES", 7 * SIZE)
    together = Barrier(THREADS)

    def take_some(_: int) -> int:
        together.wait()
        taken = 0
        for _ in range(TRIES):
            with database.write() as connection:
                taken += take(connection, "provider", SIZE, now=NOW)
        return taken

    with ThreadPoolExecutor(THREADS) as threads:
        assert sum(threads.map(take_some, range(THREADS))) == 7
    with database.read() as connection:
        assert used(connection).used_bytes == 7 * SIZE


def test_a_held_lead_takes_its_body_its_headers_and_its_data(database, town, little) -> None:
    held = hold(prepare(town, request({"id": "e1", "data": {"name": "Jane"}}), "provider"), "x")
    with database.write() as connection:
        assert store_held(connection, held).state is RequestState.ACCEPTED
        expected = stored_bytes(held.row, held.batch.events)
        assert used(connection) == BudgetUse(expected, 0)
        bare = stored_bytes(held.row)
    assert expected > bare + len('{"name":"Jane"}')


def test_a_held_lead_beyond_the_budget_is_not_stored_and_counted(database, town, little) -> None:
    with database.write() as connection:
        assert take(connection, "provider", little, now=NOW)
        held = hold(prepare(town, request({"id": "e1"}), "provider"), "x")
        assert store_held(connection, held) is None
        assert (events_of(connection), requests_of(connection)) == ([], [])
        assert used(connection) == BudgetUse(little, 1)


def test_a_held_lead_that_is_stored_already_is_a_duplicate_beyond_the_budget_too(
    database, town, little
) -> None:
    held = hold(prepare(town, request({"id": "e1"}), "provider"), "x")
    again = hold(prepare(town, request({"id": "e1"}), "provider"), "x")
    with database.write() as connection:
        assert store_held(connection, held).state is RequestState.ACCEPTED
        assert take(connection, "provider", little - used(connection).used_bytes, now=NOW)
        assert store_held(connection, again).state is RequestState.DUPLICATE
        assert len(events_of(connection)) == len(requests_of(connection)) == 1
        assert used(connection).over_budget == 0


def test_what_is_sent_again_and_again_is_counted_and_kept_within_the_budget(
    database, town, little
) -> None:
    with database.write() as connection:
        first = town.take_in(connection, {"id": "e1"})
        assert used(connection) == BudgetUse(0, 0)
        again = [town.take_in(connection, {"id": "e1"}) for _ in range(20)]
        assert {one.state for one in again} == {RequestState.DUPLICATE}
        kept = [row for row in requests_of(connection) if row.id != first.request_id]
        assert 2 < len(kept) < 20
        sizes = [stored_bytes(row._mapping) for row in kept]
        assert used(connection) == BudgetUse(sum(sizes), 20 - len(kept))
        [event] = events_of(connection)
        assert event.duplicates == 20, "all are counted"


@pytest.mark.parametrize("amount", [1, 2], ids=["plain", "conflict"])
def test_headers_of_what_is_sent_again_are_limited(database, town, amount) -> None:
    again = request({"id": "e1", "data": {"amount": amount}})
    again = replace(again, headers={**again.headers, "x-filler": "f" * 60_000})
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"amount": 1}})
        ingest(connection, prepare(town, again, "provider"))
        [kept] = [row for row in requests_of(connection) if row.state == "duplicate"]
    assert (kept.conflict, kept.body is not None) == (amount == 2, amount == 2)
    assert len(kept.headers["x-filler"]) < HEADERS_MOST_BYTES + 100


def test_a_conflict_is_kept_whatever_strangers_have_used(database, town, little) -> None:
    """Conflicts are signed, stored nowhere else, and answered 2xx."""
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"amount": 1}})
        assert take(connection, "provider", little, now=NOW)
        assert town.take_in(connection, {"id": "e1", "data": {"amount": 2}}).conflict
        [kept] = [row for row in requests_of(connection) if row.conflict]
        assert kept.body is not None
        assert used(connection) == BudgetUse(little, 0)


def test_a_known_body_under_the_id_of_another_is_no_conflict(database, town, little) -> None:
    """Conflicts without end could be made of two requests whose ids nobody signs."""
    first, second = ({"id": f"e{n}", "fact_key": f"f{n}", "data": {"amount": n}} for n in (1, 2))
    with database.write() as connection:
        town.take_in(connection, first)
        town.take_in(connection, second)
        again = [town.take_in(connection, second | {"id": "e1"}) for _ in range(20)]
        assert {(one.state, one.conflict) for one in again} == {(RequestState.DUPLICATE, False)}
        assert len(requests_of(connection)) < 20
        assert used(connection).over_budget > 0


def test_bytes_without_an_event_are_kept_once_and_beyond_the_budget_counted(
    database, town, little
) -> None:
    with database.write() as connection:
        states = {town.take_in(connection, body=b"torn").state for _ in range(20)}
        kept = requests_of(connection)
        assert states == {RequestState.UNREADABLE}
        assert 2 < len(kept) < 20
        assert {row.body for row in kept} == {b"torn"}
        assert used(connection).over_budget == 20 - len(kept)
        other = town.prepared()
        assert take(connection, "provider", little - used(connection).used_bytes, now=NOW)
        for _ in range(3):  # the answer to an earlier write may have been lost
            ingest(connection, other)
        for _ in range(2):
            town.take_in(connection)
        assert [row.body for row in requests_of(connection)[len(kept) :]] == [b"[]"]
        assert used(connection) == BudgetUse(little, 20 - len(kept) + 2)
        gone = StoredRequest.__table__.update().values(body=None, body_deleted_at=NOW)
        connection.execute(gone.where(StoredRequest.id == other.row["id"]))
        town.take_in(connection)
        assert len(requests_of(connection)) == len(kept) + 2, "now it is the first again"


def test_a_conflict_that_comes_again_and_again_is_kept_within_the_budget(
    database, town, little
) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1", "data": {"amount": 1}})
        for _ in range(20):
            assert town.take_in(connection, {"id": "e1", "data": {"amount": 2}}).conflict
        assert 2 < len(requests_of(connection)) < 20
        assert used(connection).over_budget > 0


def test_what_is_not_held_takes_nothing(database, town, little) -> None:
    with database.write() as connection:
        assert take(connection, "provider", little, now=NOW)
        assert town.take_in(connection, {"id": "e1"}).state is RequestState.ACCEPTED
        assert used(connection) == BudgetUse(little, 0)


def test_the_alert_says_what_is_not_kept_and_ends_with_the_day(database, town, little) -> None:
    source = Source("provider", "stripe", {})
    configuration = replace(town.configuration, sources={"provider": source})
    with database.write() as connection:
        alert_storage(connection, configuration, DiskElsewhere(), now=NOW)
        assert told(connection) == []
        assert take(connection, "provider", little, now=NOW)
        alert_storage(connection, configuration, DiskElsewhere(), now=NOW)
        assert told(connection) == [], "all of it was kept so far"
        note_over_budget(connection, "provider", now=NOW)
        alert_storage(connection, configuration, DiskElsewhere(), now=NOW)
        alert_storage(connection, configuration, DiskElsewhere(), now=NOW)
        assert told(connection) == [("source provider", True)]
        assert "00:00 UTC" in connection.scalar(select(Alert.message))
        alert_storage(connection, configuration, DiskElsewhere(), now=MIDNIGHT + DAY)
        assert told(connection) == [("source provider", False)]


def test_the_longest_trace_is_bounded_by_its_parts(database) -> None:
    headers = {f"x-{n}": "y" * 8000 for n in range(100)}
    url = "http://hub/webhooks/provider?" + "q" * 500_000
    huge = InboundRequest("POST", url, headers, b"z" * MAX_TRACE_BYTES, NOW)
    with database.write() as connection:
        store_rejected(connection, source="provider", request=huge, reason="wrong key")
        [kept] = requests_of(connection)
        most = MAX_TRACE_BYTES + HEADERS_MOST_BYTES + URL_MOST_BYTES
        assert stored_bytes(kept._mapping) < most + 100 * 60
        assert connection.scalar(select(func.length(StoredRequest.url))) < URL_MOST_BYTES + 100


def test_a_row_without_a_body_has_a_size() -> None:
    row = new_request_row("provider", request({"id": "e1"}), signed_by=None)
    assert 0 < stored_bytes(row | {"body": None}) < stored_bytes(row)
