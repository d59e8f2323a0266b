"""Attention items and hourly statistics of the start page."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from hub.core.configuration import Route
from hub.core.delivery import lanes, pauses
from hub.core.delivery.pauses import set_paused
from hub.core.ids import first_id, new_id
from hub.core.inbound.ingest import store_rejected
from hub.core.models import (
    Attempt,
    Delivery,
    Heartbeat,
    Lane,
    RequestState,
    StoredRequest,
    database_later,
)
from hub.core.monitoring import alerts
from hub.core.monitoring.heartbeats import CLOCK, beat, last_beat
from hub.core.monitoring.source_health import SourceHealth, watch_sources
from hub.core.queries import hourly_stats
from hub.core.queries.attention import find_attention_items
from hub.core.queries.destinations import destination_statuses, ended_badly, last_error, latency
from hub.core.queries.sources import kept_ids, secrets_of, source_statuses
from tests.core.making import NOW, deliveries_of, lease_of, request, route

NOTHING = SourceHealth((), ())


@pytest.fixture
def needs(database, town):
    """Return a finder of attention items, less the one about the clock, which beats today."""

    def find(connection, *, now=NOW):
        beat(connection, CLOCK)
        places = destination_statuses(connection, town.configuration)
        watched = watch_sources(connection, town.configuration, now=now)
        return [
            one
            for one in find_attention_items(connection, watched, places, now=now)
            if one.kind != "time"
        ]

    return find


def failed(connection, error: str, *, count: int = 1, state: str = "failed") -> None:
    """Put the newest deliveries into a state, failed by default."""
    for row in deliveries_of(connection)[-count:]:
        values = {"state": state, "error": error, "next_attempt_at": None, "finished_at": NOW}
        connection.execute(update(Delivery).where(Delivery.id == row.id).values(**values))


def test_nothing_needs_anybody_where_nothing_is_wrong(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "e"})
        failed(connection, None, state="succeeded")
        assert needs(connection) == []


def test_failures_are_one_need_for_each_cause(database, town, needs):
    stop = "Twilio answered 400: 21610: Attempt to send to unsubscribed recipient {}"
    with database.write() as connection:
        for n in range(3):
            town.take_in(connection, {"id": f"a{n}"})
            failed(connection, stop.format(n))
        town.take_in(connection, {"id": "b"})
        failed(connection, "Twilio answered 400: 21614: no mobile number")
        told = [(one.kind, one.count, one.subject, one.action) for one in needs(connection)]
        assert told == [("failed", 3, "ops", "post"), ("failed", 1, "ops", "post")]
        assert "STOP" in needs(connection)[0].words
        assert needs(connection)[0].since == NOW


def test_doubts_the_unreadable_and_alerts_of_any_kind_need_somebody(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "a"})
        failed(connection, "lost", state="unknown")
        town.take_in(connection, body=b"torn")
        alerts.begin(connection, "a kind of tomorrow", "delivery 1", "It says so.", now=NOW)
        alerts.begin(connection, alerts.UNKNOWN_OUTCOME, "delivery 2", "said above", now=NOW)
        found = needs(connection)
        assert [one.kind for one in found] == ["unknown", "unreadable", "alert"]
        assert found[2].words == "A kind of tomorrow"
        assert found[1].detail == "the body is torn"


def test_an_alert_that_somebody_has_seen_to_needs_nobody(database, town, needs):
    with database.write() as connection:
        alerts.begin(connection, "odd", "event 1", "It says so.", now=NOW)
        [need] = needs(connection)
        assert alerts.end_one(connection, UUID(need.id), now=NOW) == ("odd", "event 1")
        assert needs(connection) == []


def test_a_pause_names_who_and_how_much_waits(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "a"})
        set_paused(connection, town, "ops", paused=True, actor="user:grace", now=NOW)
        [need] = needs(connection)
        assert (need.kind, need.words, need.count, need.since) == (
            "paused", "ops is paused by grace", 1, NOW,
        )  # fmt: skip
        set_paused(connection, town, "ops", paused=False, actor="user:grace", now=NOW)
        assert needs(connection) == []


def test_a_block_is_told_in_plain_words_with_the_exact_ones_beside(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "a"})
        said = "refused us: Slack answered 404: no_service"
        pauses.block(connection, lease_of(connection), for_s=60, reason=said, setbacks=1)
        [need] = needs(connection)
        assert (need.kind, need.subject, need.detail) == ("blocked", "ops", said)
        assert "404" not in need.words


def test_work_that_nobody_takes_is_told_and_work_at_hand_is_not(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "a"})
        lanes.ensure(connection, ["ops"])
        assert needs(connection) == []
        connection.execute(update(Delivery).values(next_attempt_at=database_later(-90)))
        assert [one.kind for one in needs(connection)] == ["worker"]
        connection.execute(update(Lane).values(holder="me", lease_until=database_later(9)))
        assert needs(connection) == []


def test_a_clock_that_stands_still_is_told(database, town):
    with database.write() as connection:
        places = destination_statuses(connection, town.configuration)

        def kinds() -> set[str]:
            return {one.kind for one in find_attention_items(connection, NOTHING, places, now=NOW)}

        assert "clock" in kinds()
        beat(connection, CLOCK)
        beat(connection, CLOCK)
        assert "clock" not in kinds()
        connection.execute(update(Heartbeat).values(at=database_later(-61)))
        assert "clock" in kinds()


def test_clocks_that_are_apart_are_told(database, town):
    with database.write() as connection:
        beat(connection, CLOCK)
        theirs = last_beat(connection, CLOCK)
        for apart_s, is_told in ((0, False), (25, False), (35, True), (-35, True)):
            now = theirs + timedelta(seconds=apart_s)
            kinds = {one.kind for one in find_attention_items(connection, NOTHING, [], now=now)}
            assert ("time" in kinds) is is_told


def test_the_worst_comes_first(database, town, needs):
    with database.write() as connection:
        town.take_in(connection, {"id": "a"})
        set_paused(connection, town, "ops", paused=True, actor="user:x", now=NOW)
        town.take_in(connection, body=b"torn")
        town.take_in(connection, {"id": "b"})
        failed(connection, "ops answered 400: no")
        assert [one.kind for one in needs(connection)] == ["failed", "unreadable", "paused"]


def test_hours_count_what_came_in_them_and_what_became_of_it(database, town):
    with database.write() as connection:
        for n, (minutes, state) in enumerate(((5, "succeeded"), (50, "failed"), (70, "succeeded"))):
            at = NOW - timedelta(hours=2) + timedelta(minutes=minutes)
            town.take_in(connection, {"id": f"e{n}"}, at=at)
            [row] = [one for one in deliveries_of(connection) if one.state == "pending"]
            connection.execute(
                update(Delivery)
                .where(Delivery.id == row.id)
                .values(state=state, created_at=at, finished_at=at + timedelta(seconds=n + 1))
            )
        starts = hourly_stats.next_to_count(connection, now=NOW, most=24)
        counted = [
            hourly_stats.count_hour(connection, town.configuration, one, now=NOW) for one in starts
        ]
        hourly_stats.keep_hours(connection, counted, now=NOW)
        hours = hourly_stats.last_hours(connection, now=NOW)
    assert len(hours) == 24
    assert [(one.accepted, one.succeeded, one.failed) for one in hours[-3:]] == [
        (2, 1, 1), (1, 1, 0), (0, 0, 0),
    ]  # fmt: skip
    assert (hours[-3].p50_s, hours[-2].p95_s, hours[-1].p50_s) == (1.0, 3.0, None)


def test_the_last_two_hours_are_counted_each_time_and_the_others_in_turn(database, town):
    seen = set()
    with database.write() as connection:
        for minute in range(8):
            now = NOW + timedelta(minutes=minute)
            starts = hourly_stats.next_to_count(connection, now=now, most=6)
            assert {one.hour for one in starts[:2]} == {12, 11}
            seen |= set(starts)
            counted = [
                hourly_stats.count_hour(connection, town.configuration, one, now=now)
                for one in starts
            ]
            hourly_stats.keep_hours(connection, counted, now=now)
    assert len(seen) == 24


def test_what_was_meant_to_wait_is_not_slow(database, town):
    town.routes = [Route(**{**fields(route()), "delay_s": 3600})]
    with database.write() as connection:
        town.take_in(connection, {"id": "e"})
        finished = {"state": "succeeded", "finished_at": NOW + timedelta(hours=1)}
        connection.execute(update(Delivery).values(**finished))
        start = NOW.replace(minute=0, second=0, microsecond=0)
        counted = hourly_stats.count_hour(connection, town.configuration, start, now=NOW)
    assert (counted.succeeded, counted.p50_s) == (1, None)


def fields(one: Route) -> dict:
    return {name: getattr(one, name) for name in Route.__slots__}


def test_ids_of_an_instant_are_not_below_its_bound():
    for microseconds in (0, 1, 999, 1000, 999_999):
        at = NOW.replace(microsecond=microseconds)
        assert first_id(at) <= new_id(at)
        assert new_id(at - timedelta(milliseconds=1)) < first_id(at)


def test_latency_is_of_the_calls_that_went_well(database, town):
    with database.write() as connection:
        for n in range(4):
            town.take_in(connection, {"id": f"e{n}"})
        for n, row in enumerate(deliveries_of(connection)):
            state = "failed" if n == 3 else "succeeded"
            connection.execute(
                update(Delivery).where(Delivery.id == row.id).values(state=state, attempts=1)
            )
            connection.execute(
                insert(Attempt).values(
                    id=new_id(NOW), delivery_id=row.id, n=1, key="k", state="accepted",
                    parameters={}, started_at=NOW, ended_at=NOW + timedelta(seconds=n + 1),
                )
            )  # fmt: skip
        took = latency(connection, "ops")
        assert (took.p50_s, took.p95_s, took.calls) == (2.0, 3.0, 3)
        assert latency(connection, "elsewhere").calls == 0


def test_what_ended_badly_is_counted_by_destination_and_state(database, town):
    with database.write() as connection:
        for n, state in enumerate(("failed", "failed", "unknown", "succeeded")):
            town.take_in(connection, {"id": f"e{n}"})
            failed(connection, "no", state=state)
        assert ended_badly(connection) == {"ops": {"failed": 2, "unknown": 1}}


def test_the_last_error_is_of_what_waits_and_else_of_what_failed(database, town):
    with database.write() as connection:
        assert last_error(connection, "ops") is None
        town.take_in(connection, {"id": "a"})
        failed(connection, "it failed")
        assert last_error(connection, "ops") == "it failed"
        town.take_in(connection, {"id": "b"})
        connection.execute(
            update(Delivery).where(Delivery.state == "pending").values(error="it waits")
        )
        assert last_error(connection, "ops") == "it waits"
        assert last_error(connection, "elsewhere") is None


def test_what_was_refused_and_kept_is_found_by_source_oldest_first(database, town):
    with database.write() as connection:
        ids = [
            store_rejected(connection, source=source, request=request(at=NOW), reason="no")
            for source in ("provider", "elsewhere", "provider")
        ]
        connection.execute(
            update(StoredRequest).where(StoredRequest.id == ids[2]).values(body=None)
        )
        found = kept_ids(connection, "provider", RequestState.REJECTED, limit=9)
        assert list(found) == [ids[0]]


def test_a_source_says_which_secret_its_latest_events_bore(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e"}, at=NOW)
        source = town.configuration.sources["provider"]
        two = type(source)("provider", "stripe", {"secrets": ["a" * 16, "b" * 16]})
        first, second = secrets_of(connection, two)
    assert (first.label, first.last_used_at) == ("secrets[0]", NOW)
    assert (second.label, second.last_used_at) == ("secrets[1]", None)


def test_a_source_that_nobody_heard_waits_for_its_first(database, town):
    with database.read() as connection:
        [one] = source_statuses(connection, town.configuration, NOTHING)
    assert (one.look, one.last_verified_at, one.counts["accepted"]) == ("wait", None, 0)
