"""Jobs in Redis that no hub has made: too large, of another type, or none at all."""

import json
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from redis import Redis
from rq import Worker
from rq.job import Callback, Job, Retry
from rq.repeat import Repeat
from rq.serializers import JSONSerializer
from rq.suspension import suspend

from hub.core.ports import EVENTS
from hub.gateways.redis_queue import SYNC
from hub.worker import rq_worker as workers
from hub.worker import small_job
from hub.worker.small_job import MOST_BYTES
from tests.running import until
from tests.worker.test_rq_worker import put, work, worker_in_a_thread


@pytest.fixture
def commands(redis: Redis) -> Iterator[Callable[[str], set[bytes]]]:
    """Return a function that returns the commands about a key that were sent to Redis."""
    before = redis.config_get("slowlog-*")
    redis.config_set("slowlog-log-slower-than", 0)
    redis.config_set("slowlog-max-len", 10_000)
    redis.slowlog_reset()

    def about(key: str) -> set[bytes]:
        sent = [one["command"].split() for one in redis.slowlog_get(10_000)]
        return {words[0].upper() for words in sent if key.encode() in words}

    yield about
    for name, value in before.items():
        redis.config_set(name, value)


@pytest.mark.parametrize("field", ["data", "meta", "description", "result", "exc_info"])
def test_a_job_of_more_than_64_kib_is_refused_unread(
    redis, worker, drained, commands, caplog, field
) -> None:
    large = f"rq:job:{put(worker, SYNC, 'ops')}"
    redis.hset(large, field, os.urandom(MOST_BYTES + 1))
    put(worker, SYNC, "ops")
    redis.slowlog_reset()
    work(worker)
    assert drained == ["ops"]
    assert commands(large) == {b"HSTRLEN", b"UNLINK"}
    assert not redis.exists(large)
    assert [queue.count for queue in map(worker.queues.queue, ("ops", EVENTS))] == [0, 0]
    [line] = [one.getMessage() for one in caplog.records if "refused" in one.getMessage()]
    assert str(MOST_BYTES) in line


def test_a_job_of_just_64_kib_is_run(redis, worker, drained) -> None:
    job = f"rq:job:{put(worker, SYNC, 'ops')}"
    rest = MOST_BYTES - sum(redis.hstrlen(job, field) for field in redis.hkeys(job))
    redis.hset(job, "meta", os.urandom(rest))
    work(worker)
    assert drained == ["ops"]


def test_a_small_job_that_unpacks_to_a_large_one_is_refused(redis, worker, drained) -> None:
    bomb = json.dumps([SYNC, None, ["ops"], {"x": "x" * 10_000_000}]).encode()
    data = zlib.compress(bomb)
    assert len(data) < MOST_BYTES
    job = f"rq:job:{put(worker, SYNC, 'ops')}"
    redis.hset(job, "data", data)
    work(worker)
    assert drained == []
    assert not redis.exists(job)


def test_a_key_of_another_type_is_no_job_and_the_worker_goes_on(
    redis, worker, drained, caplog
) -> None:
    ids = [put(worker, SYNC, "ops") for _ in range(2)]
    for job_id, place in zip(ids, (redis.set, redis.rpush), strict=True):
        redis.delete(f"rq:job:{job_id}")
        place(f"rq:job:{job_id}", "jane@example.com")
    put(worker, SYNC, "ops")
    work(worker)
    assert drained == ["ops"]
    assert not redis.exists(*(f"rq:job:{job_id}" for job_id in ids))
    assert "jane@example.com" not in caplog.text


def test_what_else_a_job_says_is_not_read(redis, worker, drained) -> None:
    """Numbers that are none, times that never were: RQ would give up on them."""
    odd = {"timeout": "jane", "result_ttl": "-5", "status": "jane", "created_at": "jane",
           "ttl": "jane", "retries_left": "1e9", "retry_intervals": "{", "dependency_ids": "{",
           "webhooks": "{", "success_callback_timeout": "jane"}  # fmt: skip
    job = f"rq:job:{put(worker, SYNC, 'ops')}"
    redis.hset(job, mapping=odd)
    work(worker)
    assert drained == ["ops"]
    assert not redis.exists(job)


def test_all_that_rq_keeps_of_a_job_is_weighed(redis) -> None:
    job = Job.create(
        SYNC, connection=redis, serializer=JSONSerializer, args=["ops"], timeout=1, ttl=1,
        result_ttl=1, failure_ttl=1, description="x", depends_on=["x"], meta={"x": 1}, origin="x",
        on_success=Callback("x"), on_failure=Callback("x"), on_stopped=Callback("x"),
        group_id="x",
    )  # fmt: skip
    job.allow_dependency_failures = job.enqueue_at_front = job.enqueue_at_front_on_retry = True
    job.number_of_retries, job.enqueued_at = 1, datetime.now(UTC)
    job.retries_left, job.retry_intervals = Retry(1).max, [1]
    job.repeats_left, job.repeat_intervals = Repeat(1).times, [1]
    job._result = job._exc_info = "x"
    assert set(job.to_dict()) - set(small_job._FIELDS) == set()


def test_a_hub_is_not_suspended_by_whoever_shares_its_redis(redis, worker, drained) -> None:
    suspend(redis)
    put(worker, SYNC, "ops")
    work(worker)
    assert drained == ["ops"]


def test_a_worker_listens_to_no_commands(redis, worker, monkeypatch) -> None:
    """RQ would end it at a word that anybody can publish there."""
    heard: list[list[bytes]] = []
    monkeypatch.setattr(workers, "sync", lambda _: heard.append(redis.pubsub_channels("rq:*")))
    put(worker, SYNC, "ops")
    work(worker)
    assert heard == [[]]


@pytest.mark.parametrize("place", ["queue", "workers of the queue", "workers", "started"])
def test_a_worker_deletes_what_stands_in_place_of_its_queue(
    redis, worker, drained, monkeypatch, caplog, place
) -> None:
    monkeypatch.setattr(workers, "WITHOUT_REDIS_EVERY_S", 0.05)
    queue = worker.queues.queue("ops")
    key = {
        "queue": queue.key,
        "workers": Worker.redis_workers_keys,
        "workers of the queue": f"rq:workers:{queue.name}",
        "started": queue.started_job_registry.key,
    }[place]
    redis.set(key, "x")
    running = threading.Thread(target=workers.run, args=[worker, lambda *_: None])
    with caplog.at_level(logging.WARNING), worker_in_a_thread():
        running.start()
        until(lambda: redis.type(key) != b"string", 20, "the key to be gone")
        until(lambda: worker.queues.served(["ops"]), 20, "the worker")
        worker.queues.clear(["ops"])
        worker.queues.wake(["ops"])
        until(lambda: "ops" in drained, 20, "the job")
        worker.stop.set()
        running.join(30)
    assert not running.is_alive()
    assert caplog.text.count("of another type are deleted: 1") == 1
