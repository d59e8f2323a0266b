"""Watch over queues without a worker: told after a minute, and nothing is guessed."""

from uuid import UUID

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Worker

from hub.clock import clock
from hub.clock.clock import WorkerWatch
from hub.gateways.redis_queue import RedisNames, WakeUpQueues, connect

NAMES = RedisNames("Acme", UUID("1f3a52c0-0000-4000-8000-000000000001"))


@pytest.fixture
def queues(redis_url):
    with connect(redis_url) as redis:
        yield WakeUpQueues(redis, NAMES)


@pytest.fixture
def time_s(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    return now


def test_a_queue_is_told_of_when_it_has_had_no_worker_for_a_minute(queues, time_s) -> None:
    watch = WorkerWatch(queues, ["crm", "sms"])
    worker = Worker([queues.queue("sms")], connection=queues.queue("sms").connection)
    worker.register_birth()
    assert watch.without_worker() == set()
    time_s[0] += 59
    assert watch.without_worker() == set()
    time_s[0] += 1
    assert watch.without_worker() == {"crm"}
    worker.register_death()
    assert watch.without_worker() == {"crm"}
    time_s[0] += 60
    assert watch.without_worker() == {"crm", "sms"}


def test_a_worker_that_comes_back_begins_the_minute_anew(queues, time_s) -> None:
    watch = WorkerWatch(queues, ["crm"])
    watch.without_worker()
    time_s[0] += 50
    worker = Worker([queues.queue("crm")], connection=queues.queue("crm").connection)
    worker.register_birth()
    watch.without_worker()
    worker.register_death()
    time_s[0] += 30
    assert watch.without_worker() == set()
    time_s[0] += 60
    assert watch.without_worker() == {"crm"}


def test_without_redis_nothing_is_known(queues, time_s, monkeypatch) -> None:
    watch = WorkerWatch(queues, ["crm"])
    watch.without_worker()
    time_s[0] += 90

    def gone(*_: object) -> None:
        raise RedisConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(WakeUpQueues, "served", gone)
        assert watch.without_worker() == set()
    assert watch.without_worker() == set()
