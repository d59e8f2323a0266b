"""Replays of many: chosen once, let go at a rate, and never anything twice by accident."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from adapters import Effect
from hub.core.errors import NotFound, Refused
from hub.core.ids import new_id
from hub.core.models import (
    Attempt,
    AuditEntry,
    Delivery,
    DeliveryState,
    Replay,
    ReplayItem,
    database_later,
)
from hub.core.replay import Plan
from hub.core.replay import preview as preview_rows
from hub.core.replays import progress, running
from hub.core.replays.planning import plan_of, preview
from hub.core.replays.progress import Became
from hub.core.replays.running import cancel, go_on, let_go, pause
from hub.core.replays.starting import Started, Wish, start
from hub.core.selection import Selection
from tests.core.making import NOW, Town, deliveries_of, route, rows

ALL = Selection()
FAILED = Selection(state="failed")
FAST = 600_000


@dataclass
class Once(Town):
    """A town where nothing protects `crm` from doing things twice."""

    def effect(self, destination: str, action: str) -> Effect:
        return Effect.AT_MOST_ONCE if destination == "crm" else Effect.KEYED


def fill(connection: Connection, count: int, town: Town | None = None, **values: Any) -> None:
    """Take so many events in, each with a delivery that failed unless told otherwise."""
    town = town or Town()
    town.take_in(connection, *({"id": f"e{n}"} for n in range(count)))
    values = {"state": "failed", "error": "no", "finished_at": NOW} | values
    connection.execute(update(Delivery).values(**values))


def begin(connection: Connection, selection: Selection = FAILED, **wish: Any) -> Started:
    """Start a replay."""
    asked = {"token": "form-1", "per_minute": FAST} | wish
    return start(connection, Town(), Wish(selection, **asked), actor="user:jane", now=NOW)


def save_up(connection: Connection, seconds: float = 60) -> None:
    """Let time pass for the rate of all replays."""
    connection.execute(update(Replay).values(paid_until=database_later(-seconds)))


def run(database, replay_id, town: Town | None = None) -> int:
    """Let one batch go; return how many were looked at."""
    with database.write() as connection:
        return let_go(connection, town or Town(), replay_id, now=NOW)


def finish(database, replay_id) -> None:
    """Let all batches go."""
    for _ in range(100):
        with database.write() as connection:
            save_up(connection)
        run(database, replay_id)
        with database.read() as connection:
            if progress.replay_row(connection, replay_id).state != "running":
                return
    raise AssertionError("it did not end")


@pytest.fixture
def failed(database):
    """A database with so many failed deliveries: `failed(5)`."""

    def make(count: int, **values: Any) -> None:
        with database.write() as connection:
            fill(connection, count, **values)

    return make


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("doubt", [None, "in_doubt", "accepted", "rejected", "in_doubt elsewhere"])
@pytest.mark.parametrize("destination", ["ops", "crm"])
def test_the_database_plans_as_the_hub_does(database, again, doubt, destination) -> None:
    town = Once(routes=[route(destination=destination)], destinations=[destination])
    with database.write() as connection:
        fill(connection, len(DeliveryState), town)
        for delivery, state in zip(deliveries_of(connection), DeliveryState, strict=True):
            connection.execute(
                update(Delivery)
                .where(Delivery.id == delivery.id)
                .values(state=state, attempts=2 if doubt else 0)
            )
            if doubt:
                elsewhere = doubt.endswith("elsewhere")
                for n, outcome in ((1, doubt.partition(" ")[0]), (2, "rejected")):
                    key = "another" if elsewhere and n == 1 else "k"
                    connection.execute(
                        insert(Attempt).values(id=new_id(NOW), delivery_id=delivery.id, n=n,
                                               key=key, state=outcome, parameters={},
                                               started_at=NOW)
                    )  # fmt: skip
        expected = {
            one.delivery_id: one.plan for one in preview_rows(connection, town, {}, again=again)
        }
        plan = plan_of(connection, town, ALL, again=again)
        found = {row[0]: row[1] for row in connection.execute(select(Delivery.id, plan))}
    assert len(expected) == 8
    assert found == expected


def test_a_preview_counts_by_what_would_be_done_and_where(database) -> None:
    town = Town(
        routes=[route("a"), route("b", destination="crm", action="put")],
        destinations=["ops", "crm"],
    )
    with database.write() as connection:
        fill(connection, 5, town)
        connection.execute(
            update(Delivery).where(Delivery.destination == "crm").values(state="succeeded")
        )
        found = preview(connection, town, ALL, again=False)
    assert [(g.destination, g.action, g.plan, g.state, g.count) for g in found.groups] == [
        ("ops", "post", Plan.ANEW, "failed", 5),
        ("crm", "put", Plan.REFUSED, "succeeded", 5),
    ]
    assert (found.total, found.selected, found.needs_reason) == (5, 10, False)
    assert [len(g.examples) for g in found.groups] == [3, 3]


def test_a_preview_names_where_the_route_goes_today(database) -> None:
    with database.write() as connection:
        fill(connection, 2)
        today = Town(routes=[route(destination="crm", action="put")], destinations=["crm"])
        [group] = preview(connection, today, FAILED, again=False).groups
    assert (group.destination, group.action, len(group.examples)) == ("crm", "put", 2)


def test_what_is_chosen_is_chosen_once(database, failed) -> None:
    failed(3)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
    with database.write() as connection:  # these fail a moment later
        Town(taken=9).take_in(connection, {"id": "late"})
        connection.execute(
            update(Delivery).where(Delivery.state == "pending").values(state="failed")
        )
    finish(database, replay_id)
    with database.read() as connection:
        assert (
            sorted(row.state for row in deliveries_of(connection)) == ["failed"] + ["pending"] * 3
        )
        row = progress.replay_row(connection, replay_id)
    assert (row.state, row.total, row.queued, row.moved_on) == ("done", 3, 3, 0)


def test_each_delivery_is_in_the_audit_log_under_the_persons_name(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        replay_id = begin(connection, reason="mended").replay_id
    finish(database, replay_id)
    with database.read() as connection:
        entries = rows(connection, AuditEntry)
    assert sorted(entry.action for entry in entries) == ["replay.anew"] * 2 + ["replay.start"]
    assert {(entry.actor, entry.reason) for entry in entries} == {("user:jane", "mended")}


@pytest.mark.parametrize(
    ("per_minute", "seconds", "let"),
    [(60, 0.5, 0), (60, 3.1, 3), (60, 600, 5), (FAST, 60, 100), (1, 30, 0), (1, 61, 1),
     (1, 600, 1)],
)  # fmt: skip
def test_no_more_go_than_the_rate_allows(database, failed, per_minute, seconds, let) -> None:
    failed(120)
    with database.write() as connection:
        replay_id = begin(connection, per_minute=per_minute).replay_id
        save_up(connection, seconds)
    assert run(database, replay_id) == let
    assert run(database, replay_id) <= (20 if per_minute == FAST else 1)


def test_a_start_lets_one_go_at_once(database, failed) -> None:
    failed(3)
    with database.write() as connection:
        replay_id = begin(connection, per_minute=1).replay_id
    assert [run(database, replay_id) for _ in range(2)] == [1, 0]


def test_nothing_goes_while_it_is_paused(database, failed) -> None:
    failed(3)
    with database.write() as connection:
        replay_id = begin(connection, per_minute=60).replay_id
        pause(connection, replay_id, actor="user:jane", now=NOW)
        save_up(connection)
    assert run(database, replay_id) == 0
    with database.write() as connection:
        go_on(connection, replay_id, actor="user:jane", now=NOW)
    assert run(database, replay_id) == 0  # the pause was saved up for nothing
    finish(database, replay_id)
    with database.read() as connection:
        assert {row.state for row in deliveries_of(connection)} == {"pending"}


def test_what_is_cancelled_leaves_the_rest_as_it_is(database, failed) -> None:
    failed(150)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        save_up(connection)
    assert run(database, replay_id) == 100
    with database.write() as connection:
        cancel(connection, replay_id, actor="user:jane", now=NOW)
        save_up(connection)
    assert run(database, replay_id) == 0
    with database.read() as connection:
        states = [row.state for row in deliveries_of(connection)]
        row = progress.replay_row(connection, replay_id)
        became = progress.counts(connection, row)
    assert (states.count("pending"), states.count("failed")) == (100, 50)
    assert (row.state, row.finished_at) == ("cancelled", NOW)
    assert became == {Became.ON_ITS_WAY: 100, Became.NOT_YET: 50}


@pytest.mark.parametrize("turn", [pause, go_on, cancel])
def test_what_has_ended_does_not_turn(database, failed, turn) -> None:
    failed(1)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
    finish(database, replay_id)
    with database.write() as connection, pytest.raises(Refused, match="done"):
        turn(connection, replay_id, actor="user:jane", now=NOW)
    with database.write() as connection, pytest.raises(NotFound):
        turn(connection, new_id(NOW), actor="user:jane", now=NOW)


def test_what_moved_on_is_left_alone_and_says_why(database, failed) -> None:
    failed(6)
    moved = ["succeeded", "unknown", "running", "retrying", "failed"]
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        ids = [row.id for row in deliveries_of(connection)]
        for delivery_id, state in zip(ids, moved, strict=False):
            connection.execute(
                update(Delivery).where(Delivery.id == delivery_id).values(state=state)
            )
        connection.execute(Delivery.__table__.delete().where(Delivery.id == ids[5]))
    finish(database, replay_id)
    with database.read() as connection:
        states = [row.state for row in deliveries_of(connection)]
        found = progress.items(connection, replay_id, became=None, limit=50).rows
        row = progress.replay_row(connection, replay_id)
    assert states == ["succeeded", "unknown", "running", "retrying", "pending"]
    assert (row.queued, row.moved_on, row.state) == (1, 5, "done")
    assert [one.why for one in found] == [
        "it had succeeded meanwhile",
        "nobody knows by now whether it happened: settle it first",
        "it was on its way already",
        "it had moved on meanwhile, and was retrying",
        None,
        "it is not kept any more",
    ]


def test_nothing_that_happened_or_is_unknown_is_taken_in(database, failed) -> None:
    failed(4)
    with database.write() as connection:
        ids = [row.id for row in deliveries_of(connection)]
        for delivery_id, state in zip(ids, ("succeeded", "unknown", "pending"), strict=False):
            connection.execute(
                update(Delivery).where(Delivery.id == delivery_id).values(state=state)
            )
        replay_id = begin(connection, ALL).replay_id
        assert [
            row.delivery_id for row in rows(connection, ReplayItem, ReplayItem.delivery_id)
        ] == [ids[3]]
        row = progress.replay_row(connection, replay_id)
    assert {(one["state"], one["count"]) for one in row.left_out} == {
        ("succeeded", 1), ("unknown", 1), ("pending", 1)
    }  # fmt: skip


def test_what_succeeded_goes_again_only_when_asked_for_and_with_a_reason(database, failed) -> None:
    failed(3, state="succeeded", error=None)
    done = Selection(state="succeeded")
    with database.write() as connection:
        with pytest.raises(Refused, match="nothing"):
            begin(connection, done)
        for reason in (None, "", "  "):
            with pytest.raises(Refused, match="say why"):
                begin(connection, done, again=True, reason=reason)
        replay_id = begin(connection, done, again=True, reason="they lost it").replay_id
    finish(database, replay_id)
    with database.read() as connection:
        assert {(row.state, row.key_n) for row in deliveries_of(connection)} == {("pending", 1)}


def test_what_succeeds_after_the_start_is_not_done_again_by_the_way(database, failed) -> None:
    """Also in a replay that may do things again: that was said of others."""
    failed(2)
    with database.write() as connection:
        first, second = (row.id for row in deliveries_of(connection))
        connection.execute(update(Delivery).where(Delivery.id == first).values(state="succeeded"))
        replay_id = begin(connection, ALL, again=True, reason="they lost it").replay_id
        connection.execute(update(Delivery).where(Delivery.id == second).values(state="succeeded"))
    finish(database, replay_id)
    with database.read() as connection:
        assert [row.state for row in deliveries_of(connection)] == ["pending", "succeeded"]


def test_far_more_than_was_seen_is_not_started(database, failed) -> None:
    failed(30)
    with database.write() as connection:
        with pytest.raises(Refused, match="was 5 and is 30"):
            begin(connection, seen=5)
        assert begin(connection, seen=27).is_new


@pytest.mark.parametrize("per_minute", [0, -1, FAST + 1])
def test_a_rate_has_bounds(database, failed, per_minute) -> None:
    failed(1)
    with database.write() as connection, pytest.raises(Refused, match="rate"):
        begin(connection, per_minute=per_minute)


def test_one_form_starts_one_replay(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        first = begin(connection)
    finish(database, first.replay_id)
    with database.write() as connection:
        connection.execute(update(Replay).values(created_at=NOW - timedelta(days=1)))
        assert begin(connection) == Started(first.replay_id, is_new=False)


def test_the_same_while_it_runs_is_the_same_whoever_asks(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        first = begin(connection)
        for seen_at in (None, NOW + timedelta(hours=1)):
            asked = begin(connection, token="form-2", seen_at=seen_at)
            assert asked == Started(first.replay_id, is_new=False)


@pytest.mark.parametrize(
    ("ago", "seen_ago", "is_new"),
    [(59, None, False), (61, None, True), (59, 58, True), (3600, 3601, False)],
)
def test_one_that_ended_is_another_only_for_whom_has_looked_since(
    database, failed, ago, seen_ago, is_new
) -> None:
    failed(2)
    with database.write() as connection:
        first = begin(connection)
    finish(database, first.replay_id)
    with database.write() as connection:
        connection.execute(update(Delivery).values(state="failed"))
        connection.execute(update(Replay).values(created_at=NOW - timedelta(seconds=ago)))
        seen_at = NOW - timedelta(seconds=seen_ago) if seen_ago else None
        assert begin(connection, token="form-2", seen_at=seen_at).is_new is is_new


def test_another_filter_is_another_replay(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        assert begin(connection).is_new
        assert begin(connection, Selection(state="failed", q="no"), token="form-2").is_new


def test_two_admins_at_once_start_one_replay(database, failed) -> None:
    failed(20)
    barrier = Barrier(2)

    def both(n: int) -> Started:
        barrier.wait()
        with database.write() as connection:
            return begin(connection, token=f"form-{n}")

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(both, range(2)))
    assert len({one.replay_id for one in found}) == 1
    assert sorted(one.is_new for one in found) == [False, True]
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(ReplayItem)).scalar() == 20


def test_two_clocks_let_each_go_once(database, failed) -> None:
    failed(300)
    with database.write() as connection:
        replay_id = begin(connection).replay_id

    def clock(_: int) -> None:
        for _ in range(6):
            with database.write() as connection:
                save_up(connection)
            run(database, replay_id)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(clock, range(2)))
    with database.read() as connection:
        assert {row.key_n for row in deliveries_of(connection)} == {1}
        row = progress.replay_row(connection, replay_id)
        noted = [one for one in rows(connection, AuditEntry) if one.action == "replay.anew"]
    assert (row.state, row.queued, row.moved_on, len(noted)) == ("done", 300, 0, 300)


class Killed(BaseException):
    """The clock's process is gone."""


def _killed_after_a_batch(database, replay_id) -> None:
    with database.write() as connection:
        assert let_go(connection, Town(), replay_id, now=NOW) == 10
        raise Killed


def test_a_clock_killed_in_mid_batch_has_done_nothing(database, failed) -> None:
    failed(10)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        save_up(connection)
    with pytest.raises(Killed):
        _killed_after_a_batch(database, replay_id)
    with database.read() as connection:
        assert {row.state for row in deliveries_of(connection)} == {"failed"}
    finish(database, replay_id)
    with database.read() as connection:
        assert {(row.state, row.key_n) for row in deliveries_of(connection)} == {("pending", 1)}


def test_what_became_of_each_is_told(database, failed) -> None:
    failed(6)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
    finish(database, replay_id)
    ends = [("succeeded", None), ("failed", "no"), ("failed", "new"), ("unknown", "?"),
            ("skipped", "condition"), ("running", None)]  # fmt: skip
    with database.write() as connection:
        for row, (state, error) in zip(deliveries_of(connection), ends, strict=True):
            connection.execute(
                update(Delivery).where(Delivery.id == row.id).values(state=state, error=error)
            )
        row = progress.replay_row(connection, replay_id)
        found = progress.items(connection, replay_id, became=None, limit=50)
        expected = [Became.SUCCEEDED, Became.SAME_ERROR, Became.OTHER_ERROR, Became.UNKNOWN,
                    Became.SKIPPED, Became.ON_ITS_WAY]  # fmt: skip
        assert [one.became for one in found.rows] == expected
        assert progress.counts(connection, row) == dict.fromkeys(expected, 1)
        [other] = progress.items(connection, replay_id, became=Became.OTHER_ERROR, limit=50).rows
    assert (other.before, other.error) == ("no", "new")


def test_items_are_paged_by_key(database, failed) -> None:
    failed(5)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        seen, after = [], None
        while True:
            found = progress.items(connection, replay_id, became=None, limit=2, after=after)
            seen += [one.delivery_id for one in found.rows]
            after = found.after
            if after is None:
                break
        assert seen == [row.id for row in deliveries_of(connection)]


def test_only_what_runs_is_looked_at(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        assert running.running(connection) == [replay_id]
        pause(connection, replay_id, actor="user:jane", now=NOW)
        assert running.running(connection) == []
