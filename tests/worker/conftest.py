"""Fixtures of the worker tests: a Redis, a far end, and a worker that is not started."""

import pytest

from hub.gateways.redis_queue import connect
from hub.worker import drain as drains
from hub.worker import rq_worker as workers
from hub.worker.context import WorkerContext, set_current
from tests.engine.stage import Stage, keyed
from tests.far_end import FarEnd, Reply


@pytest.fixture
def redis(redis_url):
    with connect(redis_url, timeout_s=20) as client:
        yield client


@pytest.fixture
def far_end():
    with FarEnd(lambda _: Reply(200, b"ok")) as far_end:
        yield far_end


@pytest.fixture
def stage(tmp_path, sqlite_url, redis_url, far_end, monkeypatch):
    monkeypatch.setattr(drains, "LINGER_S", 0.05)
    stage = Stage(tmp_path, sqlite_url, redis_url, far_end)
    yield stage
    stage.close()


@pytest.fixture
def worker(stage) -> WorkerContext:
    worker = stage.worker_context(keyed())
    # A machine that runs all tests at once may be too slow for a worker's own second.
    patient = {"socket_timeout": 20, "socket_connect_timeout": 20}
    worker.redis.connection_pool.connection_kwargs.update(patient)
    set_current(worker)
    return worker


@pytest.fixture
def drained(monkeypatch) -> list[str]:
    """Replace the job by a recorder of its runs."""
    drained: list[str] = []
    monkeypatch.setattr(workers, "sync", drained.append)
    return drained
