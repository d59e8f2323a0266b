"""Wake-ups of the sweep: only the queues that have work are woken, the events' queue too."""

import pytest

from hub.clock import clock
from hub.core.events import backfill
from hub.core.models import StoredEvent
from hub.core.ports import EVENTS
from hub.worker.context import WorkerContext
from tests.engine.stage import Stage, keyed
from tests.far_end import FarEnd, Reply


@pytest.fixture
def stage(tmp_path, database_url, redis_url):
    with FarEnd(lambda _: Reply(200, b"ok")) as far_end:
        stage = Stage(tmp_path, database_url, redis_url, far_end)
        yield stage
        stage.close()


@pytest.fixture
def worker(stage) -> WorkerContext:
    return stage.worker_context(keyed())


def woken(worker: WorkerContext) -> set[str]:
    assert clock.tick(worker.hub, worker.redis, worker.queues) == set()
    return {name for name in ("ops", EVENTS) if worker.queues.queue(name).count}


def test_at_rest_no_job_is_enqueued(worker) -> None:
    assert woken(worker) == set()


def test_due_work_wakes_its_destination_alone(stage, worker) -> None:
    stage.put(worker, "evt_1")
    stage.change(StoredEvent, folded=True, indexed=True)
    assert woken(worker) == {"ops"}


@pytest.mark.parametrize("projection", ["folded", "indexed"])
def test_an_event_without_its_projections_wakes_the_events(stage, worker, projection) -> None:
    stage.put(worker, "evt_1")
    stage.drain(worker)
    stage.change(StoredEvent, **{"folded": True, "indexed": True, projection: False})
    assert clock._with_due_work(worker.hub) == {EVENTS}


def test_a_list_that_is_due_wakes_the_events(worker, monkeypatch) -> None:
    monkeypatch.setattr(backfill, "reason_not_listed", lambda *_: None)
    assert woken(worker) == {EVENTS}
