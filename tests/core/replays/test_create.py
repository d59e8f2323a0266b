"""Creation of bulk replays: once under concurrency, and no repetition by accident."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from hub.core.errors import Refused
from hub.core.models import (
    Delivery,
    Replay,
    ReplayItem,
)
from hub.core.replays import create, status
from hub.core.replays.create import Started
from hub.core.replays.selection import Selection
from tests.core.making import NOW, Town, deliveries_of, rows
from tests.core.replaying import FAST, begin, finish

ALL = Selection()


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
        row = status.replay_row(connection, replay_id)
    assert (row.state, row.total, row.queued, row.moved_on) == ("done", 3, 3, 0)


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
        row = status.replay_row(connection, replay_id)
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
    """A replay with `again` skips it too: the reason was given for others."""
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
        now = NOW + timedelta(hours=1) if seen_ago else NOW  # the previewed rows existed then
        connection.execute(update(Replay).values(created_at=now - timedelta(seconds=ago)))
        seen_at = now - timedelta(seconds=seen_ago) if seen_ago else None
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


# SQLite has one writer at a time anyway.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_start_is_the_replay_that_another_commits_between_its_looks(
    database, failed, monkeypatch
) -> None:
    """The first query finds no such replay, and the second one nothing left to run."""
    failed(20)
    preview = create.preview_selection
    begun: list[Started] = []

    def after_another(connection, *arguments: Any, **options: Any):
        monkeypatch.setattr(create, "preview_selection", preview)
        with database.write() as other:
            begun.append(begin(other, token="form-1"))
        finish(database, begun[0].replay_id)
        return preview(connection, *arguments, **options)

    monkeypatch.setattr(create, "preview_selection", after_another)
    with database.write() as connection:
        late = begin(connection, token="form-2")
    assert (late.replay_id, late.is_new) == (begun[0].replay_id, False)


def test_what_was_shown_to_run_once_is_not_begun_twice(database, failed) -> None:
    """One more succeeded between preview and start: the reason given was for others."""
    failed(3)
    with database.write() as connection:
        first, second, _ = (row.id for row in deliveries_of(connection))
        again = {"again": True, "reason": "they lost it", "seen": 3, "seen_twice": 1}
        for one in (first, second):
            connection.execute(update(Delivery).where(Delivery.id == one).values(state="succeeded"))
        with pytest.raises(Refused, match="2 would happen a second time"):
            begin(connection, ALL, **again)
        assert begin(connection, ALL, **again | {"seen_twice": 2}).is_new


def test_what_was_made_after_the_look_is_not_run(database, failed) -> None:
    failed(3)
    with database.write() as connection:
        ids = sorted(row.id for row in deliveries_of(connection))
        looked = NOW + timedelta(minutes=5)
        late = (ids[-1].int & (1 << 80) - 1) | (int(looked.timestamp() * 1000) + 60_000 << 80)
        connection.execute(update(Delivery).where(Delivery.id == ids[-1]).values(id=UUID(int=late)))
        begin(connection, seen=2, seen_at=looked)
        taken = {row.delivery_id for row in rows(connection, ReplayItem, ReplayItem.delivery_id)}
    assert taken == set(ids[:2])
