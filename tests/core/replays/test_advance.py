"""Advance of bulk replays: at their rate, once, through kills, pauses and cancellation."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from hub.core.errors import NotFound, Refused
from hub.core.ids import new_id
from hub.core.models import (
    AuditEntry,
    Delivery,
)
from hub.core.replays import advance, status
from hub.core.replays.advance import AT_ONCE, cancel, pause, release_batch, resume
from hub.core.replays.selection import Selection
from hub.core.replays.status import ItemOutcome
from tests.core.making import NOW, Town, deliveries_of, rows
from tests.core.replaying import FAST, begin, finish, run, save_up


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
    [(60, 0.5, 0), (60, 3.1, 3), (60, 600, 5), (FAST, 60, AT_ONCE), (1, 30, 0), (1, 61, 1),
     (1, 600, 1)],
)  # fmt: skip
def test_no_more_go_than_the_rate_allows(database, failed, per_minute, seconds, let) -> None:
    failed(AT_ONCE + 20)
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
        resume(connection, replay_id, actor="user:jane", now=NOW)
    assert run(database, replay_id) == 0  # time saved up in the pause does not count
    finish(database, replay_id)
    with database.read() as connection:
        assert {row.state for row in deliveries_of(connection)} == {"pending"}


def test_what_is_cancelled_leaves_the_rest_as_it_is(database, failed) -> None:
    failed(AT_ONCE + 50)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        save_up(connection)
    assert run(database, replay_id) == AT_ONCE
    with database.write() as connection:
        cancel(connection, replay_id, actor="user:jane", now=NOW)
        save_up(connection)
    assert run(database, replay_id) == 0
    with database.read() as connection:
        states = [row.state for row in deliveries_of(connection)]
        row = status.replay_row(connection, replay_id)
        became = status.counts(connection, row)
    assert (states.count("pending"), states.count("failed")) == (AT_ONCE, 50)
    assert (row.state, row.finished_at) == ("cancelled", NOW)
    assert became == {ItemOutcome.ON_ITS_WAY: AT_ONCE, ItemOutcome.NOT_YET: 50}


@pytest.mark.parametrize("turn", [pause, resume, cancel])
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
        found = status.items(connection, replay_id, became=None, limit=50).rows
        row = status.replay_row(connection, replay_id)
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
        row = status.replay_row(connection, replay_id)
        noted = [one for one in rows(connection, AuditEntry) if one.action == "replay.anew"]
    assert (row.state, row.queued, row.moved_on, len(noted)) == ("done", 300, 0, 300)


class Killed(BaseException):
    """Stand-in for the death of the clock's process."""


def _killed_after_a_batch(database, replay_id) -> None:
    with database.write() as connection:
        assert release_batch(connection, Town(), replay_id, now=NOW) == 10
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
        row = status.replay_row(connection, replay_id)
        found = status.items(connection, replay_id, became=None, limit=50)
        expected = [
            ItemOutcome.SUCCEEDED,
            ItemOutcome.SAME_ERROR,
            ItemOutcome.OTHER_ERROR,
            ItemOutcome.UNKNOWN,
            ItemOutcome.SKIPPED,
            ItemOutcome.ON_ITS_WAY,
        ]
        assert [one.became for one in found.rows] == expected
        assert status.counts(connection, row) == dict.fromkeys(expected, 1)
        [other] = status.items(connection, replay_id, became=ItemOutcome.OTHER_ERROR, limit=50).rows
    assert (other.before, other.error) == ("no", "new")


def test_items_are_paged_by_key(database, failed) -> None:
    failed(5)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        seen, after = [], None
        while True:
            found = status.items(connection, replay_id, became=None, limit=2, after=after)
            seen += [one.delivery_id for one in found.rows]
            after = found.after
            if after is None:
                break
        assert seen == [row.id for row in deliveries_of(connection)]


def test_only_what_runs_is_looked_at(database, failed) -> None:
    failed(2)
    with database.write() as connection:
        replay_id = begin(connection).replay_id
        assert advance.running(connection) == [replay_id]
        pause(connection, replay_id, actor="user:jane", now=NOW)
        assert advance.running(connection) == []


def test_two_replays_that_overlap_let_it_happen_a_second_time_and_not_a_third(
    database, failed
) -> None:
    failed(2, state="succeeded", error=None)
    with database.write() as connection:
        ids = [row.id for row in deliveries_of(connection)]
        again = {"again": True, "reason": "they lost it"}
        first = begin(connection, Selection(state="succeeded"), **again).replay_id
        other = Selection(state="succeeded", ids=tuple(ids))
        second = begin(connection, other, token="form-2", **again).replay_id
    finish(database, first)
    with database.write() as connection:
        connection.execute(
            update(Delivery).values(state="succeeded", finished_at=NOW + timedelta(seconds=9))
        )
    finish(database, second)
    with database.read() as connection:
        assert {(row.state, row.key_n) for row in deliveries_of(connection)} == {("succeeded", 1)}
        assert status.replay_row(connection, second).moved_on == 2
