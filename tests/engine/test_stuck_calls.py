"""Stuck calls: detected by their age; other results are recorded before the worker exits."""

import time
from threading import Event

import pytest

from hub.core.models import Lane
from hub.gateways.destination_client import DestinationClient
from hub.worker import drain as drains
from hub.worker import lane as lanes
from hub.worker import watchdog
from hub.worker.drain import Drain
from hub.worker.watchdog import CallStuck, StuckCallWatchdog
from tests.engine.stage import eventually
from tests.far_end import Reply
from tests.timing import soon

TWO = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}", timeout: 1s}
  quick: {adapter: http, url: "${FAR_END}/quick", secret: "${OPS_SECRET}", timeout: 15s}
routes:
  ops: {on: payment.succeeded, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
  quick: {on: payment.succeeded, do: quick.post, with: {body: {}}}
"""
# Longest duration of a call to `ops` in these tests, in all.
LONGEST_S = 1.6
OPS_TIMEOUT_S = 1.0
# How late a call may start: generous, since a busy machine is slow to give it a thread.
LATEST_START_S = 20.0


@pytest.fixture
def ended(monkeypatch) -> list[list[str]]:
    """Replace the exit of the process; record the lanes whose calls were left at each exit."""
    ended: list[list[str]] = []
    monkeypatch.setattr(lanes, "STALE_S", LATEST_START_S)
    monkeypatch.setattr(lanes, "MARGIN_S", LONGEST_S - OPS_TIMEOUT_S - LATEST_START_S)
    monkeypatch.setattr(watchdog, "MARGIN_S", 0.3)
    monkeypatch.setattr(drains, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(
        watchdog, "exit_process", lambda left: ended.append([one.destination.slug for one in left])
    )
    return ended


@pytest.fixture
def never(monkeypatch):
    """Block each call whose parameters contain `evt_stuck` on this event, past its timeout."""
    never = Event()
    perform = DestinationClient.perform

    def performs(client, call):
        if "evt_stuck" in str(call.parameters):
            never.wait(60)
        return perform(client, call)

    monkeypatch.setattr(DestinationClient, "perform", performs)
    yield never
    never.set()


def test_a_call_that_never_ends_ends_the_worker_and_nothing_else_is_lost(
    stage, never, ended, caplog
) -> None:
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_1", "evt_stuck")
    stage.far_end.behave = lambda one: Reply(after_s=1.8 if one.path == "/quick" else 0)
    began_s = time.monotonic()
    with soon(), pytest.raises(CallStuck):
        stage.drain(worker)
    assert time.monotonic() - began_s > LONGEST_S
    assert ended == [["ops"]]
    found = sorted((row.route, row.state) for row in stage.deliveries)
    assert found == [("ops", "running"), ("ops", "succeeded"), *[("quick", "succeeded")] * 2]
    assert all(row.holder is None for row in stage.rows(Lane))
    assert "lasted longer than its timeout allows" in caplog.text
    assert "jane@example.com" not in caplog.text


def test_nothing_new_is_called_once_a_call_is_stuck(stage, never, ended, monkeypatch) -> None:
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_stuck")
    look = StuckCallWatchdog.check

    def looks(self, found, now_s) -> None:
        before = self.has_begun
        look(self, found, now_s)
        if self.has_begun and not before:
            stage.put(worker, "evt_late")

    monkeypatch.setattr(StuckCallWatchdog, "check", looks)
    stage.far_end.behave = lambda one: Reply(after_s=2.5 if one.path == "/quick" else 0)
    with pytest.raises(CallStuck):
        stage.drain(worker)
    late = [row for row in stage.deliveries if row.state == "pending"]
    assert sorted(row.route for row in late) == ["ops", "quick"]
    assert len(stage.far_end.received) == 1


def test_a_drain_that_is_torn_out_of_its_work_does_not_wait_for_ever(
    stage, never, ended, monkeypatch
) -> None:
    """The alarm of RQ comes while a call hangs."""
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_1", "evt_stuck")

    def alarm(_: Drain) -> bool:
        raise TimeoutError("the alarm")

    monkeypatch.setattr(Drain, "_wait", alarm)
    with pytest.raises(TimeoutError, match="the alarm"):
        stage.drain(worker)
    assert ended == [["ops"]]
    found = sorted((row.route, row.state) for row in stage.deliveries)
    assert found == [("ops", "running"), ("ops", "succeeded"), *[("quick", "succeeded")] * 2]


def test_after_the_process_was_frozen_its_calls_get_some_time(
    stage, never, ended, monkeypatch
) -> None:
    monkeypatch.setattr(watchdog, "MARGIN_S", 5.0)
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_stuck")
    drain = Drain(worker)
    drain._tick(look=True)
    held = drain._lanes.values()
    thawed_s = time.monotonic() + 100
    drain._watchdog.check(held, thawed_s)
    drain._watchdog.check(held, thawed_s + 4)
    assert not drain._watchdog.has_begun
    with pytest.raises(CallStuck):
        drain._watchdog.check(held, thawed_s + 6)


def test_a_call_that_comes_back_after_all_ends_nothing(stage, never, ended, caplog) -> None:
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_stuck")
    drain = Drain(worker)
    drain._tick(look=True)
    held = drain._lanes.values()
    late_s = time.monotonic() + 3.5
    drain._watchdog.check(held, late_s - 1)
    assert drain._watchdog.has_begun
    never.set()
    eventually(lambda: not drain._results.empty())
    while any(lane.in_flight for lane in held):
        drain._results.wait_one(1)
    drain._watchdog.check(held, late_s)
    assert not drain._watchdog.has_begun
    assert "this worker goes on" in caplog.text


def test_an_end_that_was_not_taken_in_time_is_recorded_all_the_same(
    stage, ended, monkeypatch
) -> None:
    """The database blocks the drain for longer than a call can last, and is then gone."""
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_1")
    drain = Drain(worker)

    def hangs() -> None:
        drain._tick(look=True)
        time.sleep(4)
        raise ConnectionError

    monkeypatch.setattr(drain, "_run", hangs)
    with pytest.raises(ConnectionError):
        drain.run()
    assert ended == []
    assert {row.state for row in stage.deliveries} == {"succeeded"}
