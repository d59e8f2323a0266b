"""Workers that share a destination: its limits, pause and circuit hold for all of them together."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

import pytest
from sqlalchemy import select

from hub.core.delivery import lanes
from hub.core.delivery.pauses import set_paused
from hub.core.models import Lane, database_later
from hub.worker.context import WorkerContext
from hub.worker.drain import Drain
from hub.worker.lane import HeldLane
from tests.engine.stage import (
    Draining,
    Held,
    Stage,
    days_ago,
    eventually,
    has_started_first,
    keyed,
    noted_starts_s,
    once,
    shortest_span_s,
)
from tests.far_end import FarEnd, Received, Reply

TWO = "concurrency: 4, shards: 2"


class Counting:
    """Far end behaviour that counts the calls at once; they wait while `open` is not set."""

    def __init__(self, far_end: FarEnd, status: int = 200) -> None:
        self.open = Event()
        self.open.set()
        self.now = self.most = 0
        self.statuses: list[int] = []
        self._status, self._lock = status, Lock()
        far_end.behave = self._behave

    def _behave(self, _: Received) -> Reply:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.open.wait(20)
        with self._lock:
            self.now -= 1
            status = self.statuses.pop() if self.statuses else self._status
        return Reply(status, b"ok", after_s=0.02)


@contextmanager
def working(stage: Stage, *workers: WorkerContext) -> Iterator[None]:
    """Run one drain after another on each of these workers."""
    done = Event()

    def work(worker: WorkerContext) -> None:
        while not done.wait(0.02):
            stage.drain(worker)

    threads = [Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)


def holders(stage: Stage) -> set[str | None]:
    return {row.holder for row in stage.rows(Lane) if row.destination == "ops"}


def share(stage: Stage, first: WorkerContext, second: WorkerContext) -> int:
    """Wait until both hold a shard, with work that does not run out; return how much there was."""
    given = len(stage.deliveries)

    def holds() -> bool:
        nonlocal given
        if given - len(stage.far_end.received) < 300:
            stage.put(first, *(f"evt_more_{n}" for n in range(given, given + 100)))
            given += 100
        return holders(stage) == {first.holder, second.holder}

    eventually(holds, 60)
    return given


def first_lane(stage: Stage) -> Any:
    return next(row for row in stage.rows(Lane) if (row.destination, row.shard) == ("ops", 0))


def workers_of(stage: Stage, config: str, number: int = 2) -> list[WorkerContext]:
    return [stage.worker_context(config) for _ in range(number)]


def put(stage: Stage, worker: WorkerContext, number: int) -> None:
    stage.put(worker, *(f"evt_{n}" for n in range(number)))


def test_a_worker_alone_serves_all_shards(stage) -> None:
    [worker] = workers_of(stage, keyed(TWO), 1)
    put(stage, worker, 12)
    held = Held(stage.far_end)
    with Draining(worker):
        held.wait_for_call(4)
        held.open.set()
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert max(stage.far_end.keys().values()) == 1


def test_two_workers_call_at_once_and_no_more_than_allowed(stage) -> None:
    first, second = workers_of(stage, keyed(TWO))
    put(stage, first, 400)
    counting = Counting(stage.far_end)
    with working(stage, first, second):
        given = share(stage, first, second)
        counting.open.clear()
        eventually(lambda: counting.now == 4)
        assert holders(stage) == {first.holder, second.holder}
        counting.open.set()
        eventually(lambda: len(stage.far_end.received) == given, 60)
    assert counting.most == 4
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert max(stage.far_end.keys().values()) == 1


def test_two_workers_at_once_keep_the_rate_together(postgresql_stage, monkeypatch) -> None:
    stage, starts_s = postgresql_stage, noted_starts_s(monkeypatch)
    workers = workers_of(stage, keyed("rate: 4/1s, shards: 2"))
    put(stage, workers[0], 12)
    with working(stage, *workers):
        eventually(lambda: len(stage.far_end.received) == 12, 30)
    assert has_started_first(starts_s, stage.far_end)
    assert shortest_span_s(starts_s, 4) > 0.99  # a shard goes from one to the other by SQL's clock
    assert {row.state for row in stage.deliveries} == {"succeeded"}


def test_a_pause_stops_all_workers_at_once(stage) -> None:
    first, second = workers_of(stage, keyed(TWO))
    put(stage, first, 400)
    Counting(stage.far_end)
    with working(stage, first, second):
        share(stage, first, second)
        with stage.store.write() as connection:
            set_paused(connection, first.hub, "ops", paused=True, actor="me", now=days_ago(0))
        attempts = len(stage.attempts)
        eventually(lambda: holders(stage) == {None})
    assert len(stage.attempts) == attempts
    assert {row.state for row in stage.deliveries} == {"succeeded", "pending"}


def test_a_refused_account_stops_all_workers_at_once(stage) -> None:
    first, second = workers_of(stage, keyed(TWO))
    put(stage, first, 400)
    counting = Counting(stage.far_end)
    with working(stage, first, second):
        share(stage, first, second)
        counting.statuses = [401]
        eventually(lambda: first_lane(stage).setbacks == 1)
        attempts = len(stage.attempts)
        eventually(lambda: holders(stage) == {None})
    assert len(stage.attempts) == attempts
    assert {row.state for row in stage.deliveries} == {"succeeded", "pending", "retrying"}


@pytest.mark.parametrize("number", [1, 2])
def test_a_block_does_not_wait_for_a_call_that_hangs(stage, number: int) -> None:
    """Neither in the lane that was told to wait, nor in the others of the same worker."""
    [worker] = workers_of(stage, keyed(f"concurrency: 4, shards: {number}, timeout: 30s"), 1)
    put(stage, worker, 200)
    hangs, calls = Event(), iter(range(1_000_000))

    def behave(_: Received) -> Reply:
        call = next(calls)
        if call == 0:
            hangs.wait(20)
        later = {"Retry-After": "3600"}
        return Reply(429, b"slow down", headers=later) if call == 1 else Reply(200, b"ok", 0.05)

    stage.far_end.behave = behave
    with Draining(worker):
        eventually(lambda: first_lane(stage).blocked_until)
        made = len(stage.attempts)
        eventually(lambda: [row.state for row in stage.deliveries].count("running") == 1)
        assert len(stage.attempts) == made
        hangs.set()
    assert len(stage.attempts) == made < 200


def test_a_lane_that_is_given_away_leaves_its_block_behind(stage) -> None:
    first, second = workers_of(stage, keyed("concurrency: 2, shards: 2"))
    put(stage, first, 10)
    held = Held(stage.far_end, Reply(429, b"slow down", headers={"Retry-After": "3600"}))
    mine, other = Drain(first), Drain(second)
    mine._tick(look=True)
    held.wait_for_call(2)
    other._tick(look=True)
    mine._tick(look=True)
    # The lane that stays does not end here: its own block would stand in for the other's.
    stays = mine._lanes.pop("ops")
    [given] = mine._lanes.values()
    assert given.leaving
    held.open.set()
    eventually(lambda: tick_until_released(mine))
    assert first_lane(stage).blocked_reason
    other._tick(look=True)
    assert (other._lanes, len(stage.far_end.received)) == ({}, 2)
    mine._lanes["ops"] = stays
    eventually(lambda: tick_until_released(mine))


def tick_until_released(drain: Drain) -> bool:
    drain._results.drain()
    drain._tick(look=False)
    return not drain._lanes


def test_a_lock_held_for_too_long_does_not_lose_a_block(postgresql_stage) -> None:
    """Another worker, frozen in a claim, keeps its lane's row locked."""
    stage = postgresql_stage
    [worker] = workers_of(stage, keyed(TWO), 1)
    put(stage, worker, 6)
    stage.far_end.behave = lambda _: Reply(401, b"no")
    of_shard_1 = (Lane.destination == "ops") & (Lane.shard == 1)
    stage.change(Lane, of_shard_1, holder="frozen", shards=2, lease_until=database_later(60.0))
    drain = Drain(worker)
    with stage.store.engine.connect() as frozen:
        frozen.execute(select(Lane.shard).where(of_shard_1).with_for_update(read=True))
        drain._tick(look=True)
        eventually(lambda: drain._results.drain() or drain._lanes["ops"].block)
        drain._tick(look=False)
        assert first_lane(stage).blocked_until is None
        frozen.rollback()
    eventually(lambda: tick_until_released(drain))
    assert first_lane(stage).setbacks == 1
    assert len(stage.far_end.received) == 2


def test_a_lane_that_is_free_too_late_is_settled_and_not_worked_in(
    postgresql_stage, monkeypatch
) -> None:
    """A shard that is no more, in which a late holder claims while the others are settled."""
    stage = postgresql_stage
    workers_of(stage, keyed("concurrency: 3, shards: 3"), 1)
    [worker] = workers_of(stage, keyed("concurrency: 2, shards: 2"), 1)
    put(stage, worker, 10)
    stage.change(Lane, holder="dead", shards=3, lease_until=database_later(-1.0))
    release = lanes.release
    with stage.store.engine.connect() as late:
        of_shard_2 = (Lane.destination == "ops") & (Lane.shard == 2)
        late.execute(select(Lane.shard).where(of_shard_2).with_for_update(read=True))

        def release_at_once(connection: Any, lease: Any, **values: Any) -> None:
            late.rollback()
            release(connection, lease, **values)

        monkeypatch.setattr(lanes, "release", release_at_once)
        drain = Drain(worker)
        drain._tick(look=True)
    assert not any(lane.lease.to_settle for lane in drain._lanes.values())
    assert {row.holder for row in stage.rows(Lane)} == {None}
    stage.drain(worker)
    assert {row.state for row in stage.deliveries} == {"succeeded"}


def test_a_lane_gets_the_threads_that_another_one_has_left(stage) -> None:
    """The worker's last threads were one when it took the second lane."""
    [worker] = workers_of(stage, keyed("concurrency: 128, shards: 2"), 1)
    put(stage, worker, 3)
    held = Held(stage.far_end)
    drain = Drain(worker)
    drain._tick(look=True)
    assert [lane.slots for lane in drain._lanes.values()] == [64, 1]
    held.wait_for_call(3)
    leaves, stays = drain._lanes.values()
    leaves.leaving = True
    held.open.set()
    eventually(lambda: ended(drain, leaves))
    drain._tick(look=True)
    assert stays.slots == 64


def ended(drain: Drain, lane: HeldLane) -> bool:
    drain._results.drain()
    drain._tick(look=False)
    return lane.lease.name not in drain._lanes


def test_shares_are_asked_for_though_rows_of_more_shards_are_left(stage) -> None:
    workers_of(stage, keyed("concurrency: 4, shards: 3"), 1)
    first, second = workers_of(stage, keyed(TWO))
    put(stage, first, 40)
    held = Held(stage.far_end)
    with Draining(first):
        held.wait_for_call(4)
        Drain(second)._tick(look=True)
        asked = [row.shard for row in stage.rows(Lane) if row.wanted_by == second.holder]
        held.open.set()
    assert asked == [1]


def test_after_a_setback_one_call_probes_however_many_workers_there_are(stage) -> None:
    first, second = workers_of(stage, keyed(TWO))
    put(stage, first, 12)
    stage.change(Lane, setbacks=2, blocked_until=database_later(-1.0), blocked_reason="down")
    counting = Counting(stage.far_end)
    counting.open.clear()
    with working(stage, first, second):
        eventually(lambda: counting.now == 1)
        stage.drain(stage.worker_context(keyed(TWO)))
        assert len(stage.far_end.received) == 1
        counting.open.set()
        eventually(lambda: len(stage.far_end.received) == 12)
    assert first_lane(stage).setbacks == 0


def test_fewer_shards_wait_for_the_calls_of_the_former_number(stage) -> None:
    [old], [new] = workers_of(stage, keyed(TWO), 1), workers_of(stage, keyed("concurrency: 4"), 1)
    put(stage, old, 4)
    counting = Counting(stage.far_end)
    counting.open.clear()
    with Draining(old):
        eventually(lambda: counting.now == 4)
        stage.put(old, "evt_late")
        stage.drain(new)
        assert len(stage.far_end.received) == 4
        counting.open.set()
    stage.drain(new)
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert (counting.most, max(stage.far_end.keys().values())) == (4, 1)


def test_calls_of_a_dead_worker_are_settled_though_its_shards_are_no_more(stage) -> None:
    [old], [new] = workers_of(stage, once(TWO), 1), workers_of(stage, once(), 1)
    put(stage, old, 4)
    held = Held(stage.far_end)
    stage.die_calling(old)
    held.wait_for_call(4)
    stage.drain(new)
    assert {row.state for row in stage.deliveries} == {"running"}
    stage.end_leases()
    stage.drain(new)
    assert [row.state for row in stage.deliveries] == ["unknown"] * 4
    assert len(stage.far_end.received) == 4
    assert holders(stage) == {None}
    held.open.set()


def test_a_living_workers_calls_are_not_settled_with_those_of_a_dead_one(stage) -> None:
    dead, living, third = workers_of(stage, once("concurrency: 2, shards: 2"), 3)
    put(stage, dead, 2)
    held = Held(stage.far_end)
    stage.die_calling(dead)
    held.wait_for_call(2)
    stage.change(Lane, Lane.shard == 1, lease_until=database_later(-1.0))
    stage.put(dead, "evt_late")
    with Draining(living):
        held.wait_for_call(3)
        stage.change(Lane, Lane.shard == 0, lease_until=database_later(-1.0))
        stage.drain(third)
        states = sorted(row.state for row in stage.deliveries)
        assert states == ["running", "unknown", "unknown"]
        held.open.set()
    assert sorted(row.state for row in stage.deliveries) == ["succeeded", "unknown", "unknown"]
    assert len(stage.far_end.received) == 3
