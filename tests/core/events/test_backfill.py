"""Backfill: listed events that no webhook brought, once, and none older than the hub."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from adapters import ListedRecord, NotSent
from hub.core.events import backfill
from hub.core.events.backfill import (
    EVERY,
    LONGEST,
    OVERLAP,
    BackfillResult,
    fill_gap,
    next_span,
    note_failure,
    note_filled,
    reason_not_listed,
)
from hub.core.models import Alert, Delivery, SourceState, StoredEvent
from tests.core.fetching import FETCHING, THIN, FetchingTown
from tests.core.making import (
    NOW,
    Provider,
    deliveries_of,
    events_of,
    requests_of,
    rows,
    told,
    until_somebody_waits,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def town(database) -> FetchingTown:
    return FetchingTown(store=database)


def listed(*events: dict[str, Any], sure: bool = True) -> ListedRecord:
    return ListedRecord(json.dumps(list(events)).encode(), {"Content-Type": "x/y"}, sure=sure)


def look(town, *records: ListedRecord, **options: Any) -> BackfillResult:
    return fill_gap(town, town.source, iter(records), now=NOW, **options)


def arrive(town, *events: dict[str, Any]) -> None:
    with town.store.write() as connection:
        town.take_in(connection, *events)


def test_what_is_missing_is_taken_in_once_and_marked(town) -> None:
    arrive(town, {"id": "e1"})
    assert look(town, listed({"id": "e1"}), listed({"id": "e2"})) == BackfillResult(
        listed=2, known=1, new=1
    )
    assert look(town, listed({"id": "e1"}), listed({"id": "e2"})) == BackfillResult(
        listed=2, known=2
    )
    with town.store.read() as connection:
        events, deliveries = events_of(connection), deliveries_of(connection)
        requests = requests_of(connection)
    assert [(one.external_id, one.backfilled) for one in events] == [("e1", False), ("e2", True)]
    assert [one.duplicates for one in events] == [0, 0]
    assert sorted(one.event_id for one in deliveries) == sorted(one.id for one in events)
    assert [one.state for one in requests] == ["accepted", "accepted"]
    [kept] = [one for one in requests if one.signed_by == "backfill"]
    assert (kept.url, kept.headers) == ("/webhooks/provider", {"content-type": "x/y"})


def test_the_same_fact_under_another_id_is_known(town) -> None:
    arrive(town, {"id": "e1", "fact_key": "paid:1"})
    assert look(town, listed({"id": "twin", "fact_key": "paid:1"})) == BackfillResult(
        listed=1, known=1
    )
    with town.store.read() as connection:
        [kept] = events_of(connection)
    assert (kept.external_id, kept.duplicates) == ("e1", 0)


def test_events_without_a_time_are_told_apart_by_the_provider_s_own_ids(town) -> None:
    again = {"fact_key": "dispatched", "fact_window_s": 300}
    arrive(town, {"id": "e1"} | again)
    records = [listed({"id": f"e{n}"} | again) for n in (1, 2, 3)]
    assert look(town, *records) == BackfillResult(listed=3, known=1, new=2)


def test_another_source_s_event_is_not_known(town) -> None:
    arrive(town, {"id": "e1"})
    with town.store.write() as connection:
        connection.exec_driver_sql("UPDATE event_keys SET source = 'another'")
    assert look(town, listed({"id": "e1"})).new == 1


def test_what_came_to_another_source_of_the_account_has_come(town) -> None:
    twin = replace(town.source, slug="twin")
    arrive(town, {"id": "e1"})
    assert fill_gap(town, twin, iter([listed({"id": "e1"})]), now=NOW) == BackfillResult(
        listed=1, known=1
    )


def test_two_sources_of_an_account_that_look_at_once_take_an_event_in_once(town) -> None:
    """Two clocks that return together do this: each has the turn of a different source."""
    twin, record = replace(town.source, slug="twin"), listed({"id": "e1"})
    prepared = backfill._prepare(town, town.source, record, NOW)
    with ThreadPoolExecutor(1) as pool:
        with town.store.write() as connection:
            assert backfill._fill_one(connection, town, town.source, prepared, None) == 1
            other = pool.submit(fill_gap, town, twin, iter([record]), now=NOW)
            until_somebody_waits(town.store, or_has_ended=other)
        assert other.result() == BackfillResult(listed=1, known=1)


@pytest.mark.parametrize(
    ("event", "new"),
    [
        ({"type": "sms.received", "data": {"to": "+12025550100"}}, 1),
        ({"type": "sms.received", "data": {"to": "+12025550199"}}, 0),
        ({"type": "call.received", "data": {"to": "+12025550199"}}, 0),
        ({"type": "sms.failed", "data": {"message_id": "SM-ours"}}, 1),
        ({"type": "sms.failed", "data": {"message_id": "SM-somebodys"}}, 0),
        ({"type": "payment.succeeded", "data": {}}, 1),
    ],
)
def test_the_clock_takes_in_only_what_nobody_else_can_be_meant_by(town, event, new) -> None:
    """An account may serve other programs, whose customers must not get answers from this hub."""
    heard = {"id": "e1", "type": "sms.received", "data": {"to": "+12025550100"}}
    arrive(town, heard, {"id": "e2", "type": "lead.submitted"})
    with town.store.write() as connection:
        connection.execute(update(Delivery).values(provider_ref="SM-ours"))
    record = listed({"id": "e9"} | event)
    assert look(town, record, until=NOW + HOUR).new == new
    assert look(town, record).new == 1 - new  # a backfill by a person takes all


def test_of_a_batch_only_the_others_are_taken_in_and_nothing_is_counted(town) -> None:
    arrive(town, {"id": "e1", "data": {"amount": 1}}, {"id": "e2", "fact_key": "f2"})
    batch = listed(
        {"id": "e1", "data": {"amount": 2}}, {"id": "twin", "fact_key": "f2"}, {"id": "e3"}
    )
    assert look(town, batch) == BackfillResult(listed=1, known=2, new=1)
    with town.store.read() as connection:
        events, deliveries = events_of(connection), deliveries_of(connection)
        [request] = [one for one in requests_of(connection) if one.signed_by == "backfill"]
    assert [(one.external_id, one.duplicates) for one in events] == [
        ("e1", 0), ("e2", 0), ("e3", 0),
    ]  # fmt: skip
    assert [one.backfilled for one in events] == [False, False, True]
    assert len(deliveries) == 3
    assert (request.conflict, request.event_id) == (False, events[2].id)
    assert look(town, batch) == BackfillResult(listed=1, known=3)


def test_the_same_twice_in_one_batch_is_one_event(town) -> None:
    assert look(town, listed({"id": "e1"}, {"id": "e1"})) == BackfillResult(
        listed=1, known=1, new=1
    )
    with town.store.read() as connection:
        assert len(deliveries_of(connection)) == 1


def test_a_listed_record_that_differs_from_its_webhook_is_no_conflict(town) -> None:
    arrive(town, {"id": "e1", "data": {"amount": 1}})
    assert look(town, listed({"id": "e1", "data": {"amount": 1, "shape": "new"}})).known == 1
    with town.store.read() as connection:
        assert len(requests_of(connection)) == 1


def test_what_cannot_be_read_holds_nothing_up(town) -> None:
    assert look(town, ListedRecord(b"torn"), listed({"id": "e1"})) == BackfillResult(
        listed=2, new=1, unreadable=1
    )


def test_what_no_database_takes_holds_nothing_up(town, monkeypatch) -> None:
    real = backfill.ingest

    def ingest(connection, prepared):
        if prepared.events[0].external_id == "poison":
            connection.exec_driver_sql("INSERT INTO event_keys (source) VALUES (NULL)")
        return real(connection, prepared)

    monkeypatch.setattr(backfill, "ingest", ingest)
    found = look(town, listed({"id": "e1"}), listed({"id": "poison"}), listed({"id": "e2"}))
    assert found == BackfillResult(listed=3, new=2, unreadable=1)


def test_what_was_taken_in_stays_when_the_list_breaks_off(town) -> None:
    def broken() -> Iterator[ListedRecord]:
        yield listed({"id": "e1"})
        raise NotSent("the list ends")

    with pytest.raises(NotSent):
        fill_gap(town, town.source, broken(), now=NOW)
    assert look(town, listed({"id": "e1"})).known == 1


def test_what_happened_just_now_is_left_to_the_next_look(town) -> None:
    record = listed({"id": "e1"})
    assert told().occurred_at == NOW
    assert look(town, record, until=NOW - timedelta(seconds=1)) == BackfillResult(listed=1)
    assert look(town, record, until=NOW).new == 1


def test_what_may_have_come_under_another_id_is_left_to_a_person(town) -> None:
    record = listed({"id": "e1"}, sure=False)
    assert look(town, record, until=NOW) == BackfillResult(listed=1)
    assert look(town, record).new == 1


def test_a_missing_event_that_says_too_little_is_fetched(town) -> None:
    assert look(town, listed({"id": "e1"} | THIN)).new == 1
    with town.store.read() as connection:
        [delivery] = deliveries_of(connection)
        [kept] = events_of(connection)
    assert (delivery.route, kept.state, kept.backfilled) == (FETCHING, "incomplete", True)


def test_a_missing_echo_runs_nothing(town) -> None:
    assert look(town, listed({"id": "e1", "echo": True})).new == 1
    with town.store.read() as connection:
        assert deliveries_of(connection) == []


def test_a_webhook_that_comes_after_all_is_one_duplicate(town) -> None:
    look(town, listed({"id": "e1"}))
    arrive(town, {"id": "e1"})
    with town.store.read() as connection:
        [kept] = events_of(connection)
        assert (kept.duplicates, kept.backfilled) == (1, True)
        assert len(deliveries_of(connection)) == 1


def advisory_lock(town, now: datetime) -> datetime | None:
    with town.store.write() as connection:
        return next_span(connection, "provider", now=now)


def end_turn(town, until: datetime) -> None:
    with town.store.write() as connection:
        note_filled(connection, "provider", until=until)


def test_the_first_look_and_those_after_it_find_nothing_older_than_the_first(town) -> None:
    assert advisory_lock(town, NOW) == NOW
    end_turn(town, NOW - timedelta(minutes=5))
    assert advisory_lock(town, NOW + HOUR) == NOW
    end_turn(town, NOW + timedelta(minutes=55))
    assert advisory_lock(town, NOW + 2 * HOUR) == NOW
    end_turn(town, NOW + timedelta(minutes=115))
    assert advisory_lock(town, NOW + 3 * HOUR) == NOW + timedelta(minutes=115) - OVERLAP


def test_a_source_that_was_heard_before_has_no_older_gap_either(town) -> None:
    with town.store.write() as connection:
        connection.execute(insert(SourceState).values(source="provider", accepted=7))
    assert advisory_lock(town, NOW) == NOW
    with town.store.read() as connection:
        assert connection.scalar(select(SourceState.accepted)) == 7


@pytest.mark.parametrize("outage", [HOUR, 5 * HOUR, timedelta(days=3)])
def test_after_an_outage_the_look_begins_before_it(town, outage) -> None:
    advisory_lock(town, NOW - 4 * HOUR)
    end_turn(town, NOW - 4 * HOUR + timedelta(minutes=30))
    advisory_lock(town, NOW - HOUR)
    end_turn(town, NOW - timedelta(minutes=65))
    since = advisory_lock(town, NOW + outage)
    assert since == NOW - timedelta(minutes=65) - OVERLAP


def test_a_very_long_outage_is_looked_through_as_far_as_lists_go(town) -> None:
    advisory_lock(town, NOW)
    assert advisory_lock(town, NOW + timedelta(days=90)) == NOW + timedelta(days=90) - LONGEST


def test_a_look_that_failed_is_made_good_by_the_next(town) -> None:
    advisory_lock(town, NOW)
    end_turn(town, NOW + 2 * HOUR)
    advisory_lock(town, NOW + 3 * HOUR)  # and no end
    assert advisory_lock(town, NOW + 4 * HOUR) == NOW + 2 * HOUR - OVERLAP


def test_there_is_one_turn_an_hour(town) -> None:
    assert advisory_lock(town, NOW)
    assert advisory_lock(town, NOW + EVERY - timedelta(seconds=1)) is None
    assert advisory_lock(town, NOW + EVERY)


def test_clocks_that_differ_by_seconds_still_share_one_turn(town) -> None:
    assert advisory_lock(town, NOW)
    assert advisory_lock(town, NOW - timedelta(seconds=5)) is None


def test_a_clock_that_was_wrong_for_a_while_stops_nobody_for_ever(town) -> None:
    advisory_lock(town, NOW + timedelta(days=3650))
    end_turn(town, NOW + timedelta(days=3650))
    assert advisory_lock(town, NOW) == NOW
    assert advisory_lock(town, NOW + EVERY) == NOW


def test_of_two_clocks_one_gets_the_turn(town) -> None:
    for n in range(20):
        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(partial(advisory_lock, town), [NOW + n * EVERY] * 2))
        assert len([since for since in taken if since is not None]) == 1


def test_of_two_clocks_at_a_source_s_first_look_one_gets_the_turn(town) -> None:
    for _ in range(10):
        with town.store.write() as connection:
            connection.execute(delete(SourceState))
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(partial(advisory_lock, town), [NOW] * 4))
        assert len([since for since in taken if since is not None]) == 1


def test_why_a_gap_cannot_be_filled_is_said(database) -> None:
    assert reason_not_listed(FetchingTown(), FetchingTown().source) is None
    for changes, words in (
        ({"account": None}, "name it as `account`"),
        ({"sandbox": True}, "give it its credentials"),
        ({"enabled": False}, "is switched off"),
        ({"provider": Provider()}, "keeps no list"),
    ):
        town = FetchingTown(**changes)
        assert words in str(reason_not_listed(town, town.source))


def test_a_gap_is_filled_while_webhooks_arrive_and_each_event_is_one(town) -> None:
    ids = [f"e{n}" for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look, town, *(listed({"id": one}) for one in ids)) for _ in range(2)]
        for one in ids:
            pool.submit(arrive, FetchingTown(store=town.store), {"id": one}).result()
        found = [one.result() for one in looks]
    with town.store.read() as connection:
        events, deliveries = events_of(connection), deliveries_of(connection)
        marked = connection.scalars(
            select(StoredEvent.external_id).where(StoredEvent.backfilled)
        ).all()
    assert len(events) == len(deliveries) == 40
    assert sum(one.new for one in found) == len(marked)
    assert all(one.new + one.known == 40 for one in found)


@pytest.mark.parametrize(("after", "told"), [(2 * HOUR, 0), (5 * HOUR, 1)])
def test_a_list_that_cannot_be_read_for_hours_is_told_until_it_can(town, after, told) -> None:
    with town.store.write() as connection:
        next_span(connection, "provider", now=NOW)
        for again in range(2):
            note_failure(connection, "provider", "it says 401", now=NOW + after + again * HOUR / 60)
        alerts = rows(connection, Alert)
    assert [(one.kind, one.subject) for one in alerts] == [
        ("list not readable", "source provider")
    ] * told
    assert all("it says 401" in one.message for one in alerts)
    with town.store.write() as connection:
        note_filled(connection, "provider", until=NOW + after)
        assert all(one.ended_at for one in rows(connection, Alert))


def test_a_list_that_was_never_looked_through_is_not_told_of(town) -> None:
    with town.store.write() as connection:
        note_failure(connection, "provider", "it says 401", now=NOW)
        assert rows(connection, Alert) == []
