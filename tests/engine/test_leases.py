"""Leases of workers that lose connections, sleep, die, or end at the wrong moment."""

import time
from threading import Event

import psycopg
import pytest
from sqlalchemy import event

import hub.worker.deadline as slices
import hub.worker.drain as drains
import hub.worker.lane as lane_module
from hub.core.delivery.lanes import Lease, acquire, release
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.delivery.sweep import sweep
from hub.core.models import Delivery
from hub.worker.drain import Drain
from tests.engine.stage import Draining, Held, days_ago, eventually, keyed, once
from tests.far_end import Reply
from tests.timing import NEVER_S


def test_a_take_that_was_rolled_back_frees_no_lane_of_another_worker(postgresql_stage) -> None:
    stage = postgresql_stage
    first, second, third = (stage.worker_context(once()) for _ in range(3))
    stage.put(first, "evt_1")
    held = Held(stage.far_end)
    other = Draining(second)

    lost = []

    def lose(connection) -> None:
        """End the connection at COMMIT; another worker then acquires the same token."""
        if lost:
            return
        lost.append(connection)
        with stage.store.write() as killer:
            pid = connection.connection.dbapi_connection.info.backend_pid
            killer.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
        other.__enter__()
        held.wait_for_call()

    event.listen(first.hub.store.engine, "commit", lose)
    with pytest.raises(Exception) as failed:  # noqa: PT011 - psycopg names it by the moment
        stage.drain(first)
    assert isinstance(failed.value.orig, psycopg.Error)
    assert stage.lane.holder == second.holder
    stage.drain(third)
    assert stage.delivery.state == "running"
    held.open.set()
    other.__exit__()
    assert stage.delivery.state == "succeeded"
    assert len(stage.far_end.received) == 1


def test_an_equal_token_in_other_hands_releases_nothing(stage) -> None:
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    with stage.store.write() as connection:
        [lease] = acquire(connection, "mine", ["ops"], most=1)
        release(connection, Lease("ops", lease.token, "another's"))
    assert stage.lane.holder == "mine"
    assert stage.lane.lease_until is not None


def test_a_worker_that_was_held_up_after_its_claim_calls_no_more(
    postgresql_stage, monkeypatch
) -> None:
    stage = postgresql_stage
    monkeypatch.setattr(lane_module, "STALE_S", 0.2)
    worker = stage.worker_context(once())
    stage.put(worker, "evt_1")
    go_on = Event()
    for _ in range(worker.pool._max_workers):
        worker.pool.submit(go_on.wait, NEVER_S)
    with Draining(worker):
        eventually(lambda: stage.attempts)
        time.sleep(0.3)
        go_on.set()
    assert stage.far_end.received == []
    assert (stage.delivery.state, stage.attempts[0].state) == ("retrying", "not_processed")
    monkeypatch.undo()
    stage.make_due()
    stage.drain(worker)
    assert stage.delivery.state == "succeeded"
    assert len(stage.far_end.received) == 1


GONE = """
destinations: {other: {adapter: slack, url: "${FAR_END}/other"}}
routes: {all: {on: payment.succeeded, do: other.post, with: {text: hello}}}
"""
OFF = GONE.replace(
    "{other:", '{ops: {adapter: slack, url: "${FAR_END}/ops", enabled: false}, other:'
)


@pytest.mark.parametrize("config", [GONE, OFF], ids=["gone", "off"])
def test_a_dead_workers_call_to_a_destination_that_nobody_serves_becomes_unknown(
    stage, config
) -> None:
    worker = stage.worker_context(once())
    stage.put(worker, "evt_1")
    stage.die_calling(worker)
    later = stage.worker_context(config).hub.configuration
    with stage.store.write() as connection:
        assert sweep(connection, later) == 0
    assert stage.delivery.state == "running"
    stage.end_leases(ago_s=700)
    with stage.store.write() as connection:
        assert sweep(connection, later) == 1
    assert (stage.delivery.state, stage.attempts[0].state) == ("unknown", "unknown")
    assert "ended before its answer" in stage.delivery.error
    with stage.store.write() as connection:
        settle(connection, stage.delivery.id, SettleAnswer.ARRIVED, reason="seen", actor="me",
               now=days_ago(0))  # fmt: skip
    assert stage.delivery.state == "succeeded"


def test_work_that_comes_between_the_last_look_and_the_release_is_not_forgotten(
    stage, redis_server, monkeypatch
) -> None:
    first, second = stage.worker_context(keyed()), stage.worker_context(keyed())
    stage.put(first, "evt_1")
    drain = Drain(first)
    let_go = drains.release_all

    def let_go_late(worker, lanes) -> None:
        """Delay the release until another worker has used the wake-up and found the lane held."""
        if worker is first:
            stage.put(first, "evt_2")
            first.queues.wake(["ops"])
            eventually(lambda: not drain._results.empty())
            time.sleep(0.2)
            stage.drain(second)
            time.sleep(0.2)
            first.queues.clear(["ops"])
            first.queues.queue("ops").empty()
        let_go(worker, lanes)

    monkeypatch.setattr(drains, "release_all", let_go_late)
    drain.run()
    assert sorted(row.state for row in stage.deliveries) == ["pending", "succeeded"]
    eventually(lambda: first.queues.queue("ops").count == 1, 3)


TWO = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}", timeout: 3s}
  quick: {adapter: http, url: "${FAR_END}/quick", secret: "${OPS_SECRET}", timeout: 3s}
routes:
  ops: {on: payment.succeeded, do: ops.post, with: {body: {}}}
  quick: {on: payment.succeeded, do: quick.post, with: {body: {}}}
"""


@pytest.mark.parametrize(
    ("longest_s", "quick_s"), [(6.0, 0.3), (4.0, 2.8)], ids=["by its slice", "during a slow call"]
)
def test_a_lane_whose_calls_would_last_too_long_for_this_drain_is_left_to_another(
    postgresql_stage, monkeypatch, longest_s: float, quick_s: float
) -> None:
    """Calls last up to 3 s: those due in a drain's last 3 s are left to other workers at once."""
    stage = postgresql_stage
    monkeypatch.setattr(slices, "SLICE_S", 5.0)
    monkeypatch.setattr(slices, "LONGEST_S", longest_s)
    first, second = stage.worker_context(TWO), stage.worker_context(TWO)
    stage.far_end.behave = lambda one: Reply(after_s=quick_s if one.path == "/quick" else 0)
    stage.put(first, *(f"evt_{n}" for n in range(150 if quick_s < 1 else 1)))
    with Draining(first):
        time.sleep(longest_s - 2.5)
        stage.put(first, "evt_late")
        stage.change(Delivery, Delivery.destination == "quick", state="skipped")
        stage.drain(second)
        assert [row.state for row in stage.deliveries if row.route == "ops"][-1] == "succeeded"
