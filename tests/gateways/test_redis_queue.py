"""Wake-ups through a real Redis: once, not lost, and without blocking."""

import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from hub.gateways import redis_queue as queues
from hub.gateways.redis_queue import (
    CHANNEL,
    DRAIN,
    WAKE_KEY,
    WakeUpPublisher,
    WakeUpSubscriber,
    clear_wake_up,
    connect,
    enqueue_drain,
    queue,
)
from tests.running import until
from tests.stores import RedisServer
from tests.timing import soon


@pytest.fixture
def redis(redis_url):
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def own_server(store_folder):
    server = RedisServer(store_folder)
    server.start()
    yield server
    server.stop()


class Heard:
    """Subscriber that counts published wake-ups."""

    def __init__(self, redis) -> None:
        self._channel = redis.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe(CHANNEL)
        self._channel.get_message(timeout=1)

    def count(self) -> int:
        found = 0
        while self._channel.get_message(timeout=0.1):
            found += 1
        return found


def test_many_wake_ups_are_one_job_and_each_is_published(redis) -> None:
    heard = Heard(redis)
    assert [enqueue_drain(redis) for _ in range(5)] == [True, False, False, False, False]
    assert queue(redis).count == 1
    assert heard.count() == 5


def test_a_wake_up_that_was_taken_makes_room_for_one_more(redis) -> None:
    enqueue_drain(redis)
    clear_wake_up(redis)
    assert enqueue_drain(redis)
    assert not enqueue_drain(redis)
    assert queue(redis).count == 2


def test_a_wake_up_that_nobody_takes_gives_way_to_another_in_time(redis, monkeypatch) -> None:
    monkeypatch.setattr(queues, "WAKE_TTL_MS", 60)
    assert enqueue_drain(redis)
    assert not enqueue_drain(redis)
    until(lambda: not redis.exists(WAKE_KEY), 2, "the wake-up to end")
    assert enqueue_drain(redis)


def test_a_wake_up_lasts_five_seconds_at_the_most(redis) -> None:
    enqueue_drain(redis)
    assert 0 < redis.pttl(WAKE_KEY) <= 5000


def test_rq_reads_the_job_as_its_own(redis) -> None:
    enqueue_drain(redis)
    [job_id] = queue(redis).job_ids
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    assert job.func_name == DRAIN
    assert (list(job.args), job.kwargs, job.origin) == ([], {}, "hub")
    assert job.get_status() is JobStatus.QUEUED
    assert job.result_ttl == 0
    assert job.timeout == queues.JOB_TIMEOUT_S
    assert redis.smembers("rq:queues") == {b"rq:queue:hub"}


def test_rq_takes_the_job_off_the_queue(redis) -> None:
    enqueue_drain(redis)
    taken = queue(redis).dequeue_any([queue(redis)], None, redis, serializer=JSONSerializer)
    assert taken is not None
    assert taken[0].func_name == DRAIN
    assert queue(redis).count == 0


def test_making_room_in_a_redis_that_is_gone_raises_nothing(store_folder) -> None:
    gone = connect(f"unix://{store_folder}/nobody.sock")
    clear_wake_up(gone)
    with pytest.raises(RedisConnectionError):
        enqueue_drain(gone)


def test_a_redis_that_does_not_answer_is_given_up_within_its_time(own_server) -> None:
    with connect(own_server.url, timeout_s=0.2) as client:
        client.ping()
        own_server.freeze()
        with soon():
            clear_wake_up(client)
        own_server.thaw()


def test_waking_returns_at_once_while_redis_does_not_answer(own_server) -> None:
    flusher = WakeUpPublisher(own_server.url)
    own_server.freeze()
    with soon():
        for _ in range(100):
            flusher.wake()
    own_server.thaw()


def test_a_wake_up_arrives_when_a_redis_that_was_gone_is_back(own_server, caplog) -> None:
    own_server.stop()
    WakeUpPublisher(own_server.url).wake()
    until(lambda: "Redis is gone" in caplog.text, 5, "it to be noticed")
    own_server.start()
    with own_server.client() as client:
        until(lambda: queue(client).count == 1, 5, "the wake-up")
    assert caplog.text.count("Redis is gone") == 1


def test_a_hundred_wakes_in_a_row_are_one_job(redis, redis_url) -> None:
    flusher = WakeUpPublisher(redis_url)
    for _ in range(100):
        flusher.wake()
    until(lambda: queue(redis).count, 5, "the job")
    time.sleep(0.05)
    assert queue(redis).count == 1


def test_a_listener_hears_each_time_that_work_is_due(own_server) -> None:
    heard = threading.Semaphore(0)
    listener = WakeUpSubscriber(own_server.url, heard.release)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(CHANNEL)[0][1], 5, "a subscriber")
        for _ in range(3):  # only the first is enqueued
            enqueue_drain(client)
    assert all(heard.acquire(timeout=5) for _ in range(3))
    listener.close()


def test_a_closed_listener_is_gone_within_seconds(own_server) -> None:
    listener = WakeUpSubscriber(own_server.url, lambda: None)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(CHANNEL)[0][1], 5, "a subscriber")
        listener.close()
        until(lambda: not client.pubsub_numsub(CHANNEL)[0][1], 5, "it to leave")


def test_a_listener_hears_again_after_redis_was_gone(own_server) -> None:
    heard = threading.Event()
    listener = WakeUpSubscriber(own_server.url, heard.set)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(CHANNEL)[0][1], 5, "a subscriber")
    own_server.kill()
    own_server.start()
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(CHANNEL)[0][1], 5, "the subscriber to be back")
        enqueue_drain(client)
    assert heard.wait(5)
    listener.close()
