"""Projector of a worker: it folds and indexes beside a busy drain, and the clock stands by."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from hub.clock import clock
from hub.clock.projections import ProjectionBackup
from hub.core.ids import new_id
from hub.core.models import Alert, StoredEvent
from hub.worker import projector
from hub.worker.drain import drain
from tests.engine.stage import Draining, Held, eventually, keyed, unfolded
from tests.running import until


class Served:
    """Registry of RQ's workers in which the queue of events has a living one."""

    def served(self, names: list[str]) -> set[str]:
        return set(names)


class LateBackup(ProjectionBackup):
    """Backup that has seen late events for as long as somebody is to be told."""

    def late_s(self) -> float:
        return clock.ALONE_S


@pytest.fixture(autouse=True)
def _events_gather_briefly(monkeypatch) -> None:
    monkeypatch.setattr(projector, "GATHER_S", 0.0)


def make_old(stage) -> None:
    """Give the only event an id of two minutes ago; it has no delivery."""
    at = datetime.now(UTC) - timedelta(minutes=2)
    stage.change(StoredEvent, id=new_id(at))


@pytest.fixture
def quiet(stage):
    """Return the context of a worker for whose only event there is no route."""
    worker = stage.worker_context(keyed().replace("payment.succeeded", "payment.failed"))
    stage.put(worker, "evt_1")
    return worker


def test_events_are_folded_and_indexed_while_the_drain_is_busy(stage, far_end) -> None:
    worker = stage.worker_context(keyed())
    held = Held(far_end)
    stage.put(worker, "evt_1")
    with Draining(worker):
        held.wait_for_call()
        worker.projector.start_if_idle()
        until(lambda: unfolded(stage) == [], 10, "the event to be folded")
        assert [row.indexed for row in stage.rows(StoredEvent)] == [True]
        held.open.set()


def test_every_wake_up_begins_a_round(stage) -> None:
    worker = stage.worker_context(keyed())
    for n in range(3):
        stage.put(worker, f"evt_{n}")
        worker.projector.start_if_idle()
        until(lambda: unfolded(stage) == [], 10, "the event to be folded")


def test_more_events_than_a_step_takes_are_all_projected(stage, monkeypatch) -> None:
    monkeypatch.setattr(projector, "AT_ONCE", 2)
    worker = stage.worker_context(keyed())
    stage.put(worker, *(f"evt_{n}" for n in range(5)))
    stage.change(StoredEvent, StoredEvent.external_id == "evt_3", folded=True)
    worker.projector.project_all()
    assert unfolded(stage) == []
    assert all(row.indexed for row in stage.rows(StoredEvent))


def test_a_round_ends_though_another_transaction_holds_the_oldest_event(
    postgresql_stage, monkeypatch
) -> None:
    stage = postgresql_stage
    monkeypatch.setattr(projector, "AT_ONCE", 2)
    worker = stage.worker_context(keyed())
    stage.put(worker, *(f"evt_{n}" for n in range(3)))
    oldest = min(row.id for row in stage.rows(StoredEvent))
    with stage.store.write() as holding:
        holding.execute(update(StoredEvent).where(StoredEvent.id == oldest).values(duplicates=1))
        worker.projector.project_all()
        assert len(unfolded(stage)) == 3
    worker.projector.project_all()
    assert unfolded(stage) == []


def test_a_worker_of_certain_destinations_does_not_fold(stage) -> None:
    assert stage.worker_context(keyed(), "ops").projector is None
    assert stage.worker_context(keyed(), "ops", "events").projector is not None


def test_a_database_that_is_away_does_not_end_the_projector(stage, monkeypatch, caplog) -> None:
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    monkeypatch.setattr(projector, "AFTER_ERROR_S", 0.0)
    real, tries = projector.project_some, []

    def away_twice(*args, **options) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("x", {}, Exception("gone"))
        return real(*args, **options)

    monkeypatch.setattr(projector, "project_some", away_twice)
    for count in (1, 2, 3):
        worker.projector.start_if_idle()
        until(lambda count=count: len(tries) >= count, 10, "a round")
    eventually(lambda: unfolded(stage) == [])
    assert caplog.text.count("events are not folded: the database does not answer") == 1


def test_a_projector_that_gets_no_thread_starts_with_the_next_wake_up(
    stage, monkeypatch, caplog
) -> None:
    """The listener of wake-ups, which starts it, would end with an error of its own."""
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short_of_threads:
        short_of_threads.setattr(Thread, "start", fail)
        worker.projector.start_if_idle()
    assert "events are not folded yet" in caplog.text
    worker.projector.start_if_idle()
    until(lambda: unfolded(stage) == [], 10, "the event to be folded")


def test_the_clock_leaves_events_to_a_worker_that_lives(stage, quiet) -> None:
    backup = ProjectionBackup(quiet.hub, Served())
    backup.fold()
    backup.index()
    [event] = stage.rows(StoredEvent)
    assert (event.folded, event.indexed) == (False, False)


def test_the_clock_folds_what_is_late_and_says_so(stage, quiet, caplog) -> None:
    caplog.set_level(logging.INFO)
    backup = ProjectionBackup(quiet.hub, Served())
    make_old(stage)
    backup.fold()
    assert unfolded(stage) == []
    assert caplog.text.count("the clock folds some too") == 0, "it may have been released just now"
    stage.change(StoredEvent, folded=False, indexed=False)
    backup.index()
    assert [row.indexed for row in stage.rows(StoredEvent)] == [True]
    backup.fold()
    stage.change(StoredEvent, folded=False)
    backup.fold()
    assert caplog.text.count("the clock folds some too") == 1
    backup.fold()
    assert "events are folded in time again" in caplog.text
    assert backup.late_s() == 0


def test_somebody_is_told_that_the_workers_fall_behind(stage, redis_server) -> None:
    worker = stage.worker_context(keyed())
    backup = LateBackup(worker.hub, Served())
    with redis_server.client() as redis:
        tick = clock.tick(worker.hub, redis, worker.queues, backup=backup)
    assert tick == set()
    assert [row.subject for row in stage.rows(Alert)] == ["events"]


def test_a_drain_that_begins_starts_the_projector(stage, far_end) -> None:
    """A worker that begins with a backlog drains for a minute before it takes another job."""
    worker = stage.worker_context(keyed())
    held = Held(far_end)
    stage.put(worker, "evt_1")
    with ThreadPoolExecutor(1) as pool:
        draining = pool.submit(drain, worker)
        held.wait_for_call()
        until(lambda: unfolded(stage) == [], 10, "the event to be folded")
        held.open.set()
        draining.result()
