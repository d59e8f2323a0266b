"""Wake-ups through a real Redis: once, not lost, and without blocking."""

import threading
from uuid import UUID

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from hub.core.ports import EVENTS
from hub.gateways import redis_queue, wake_up_publisher
from hub.gateways.redis_queue import (
    SYNC,
    RedisNames,
    WakeUpQueues,
    WakeUpSubscriber,
    connect,
)
from hub.gateways.wake_up_publisher import WakeUpPublisher
from tests.running import until
from tests.stores import RedisServer
from tests.timing import soon

NAMES = RedisNames("Acme Roofing", UUID("1f3a52c0-0000-4000-8000-000000000001"))
OTHER = RedisNames("Acme Roofing", UUID("2b000000-0000-4000-8000-000000000002"))


@pytest.fixture
def redis(redis_url):
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def queues(redis):
    return WakeUpQueues(redis, NAMES)


@pytest.fixture
def own_server(store_folder):
    server = RedisServer(store_folder)
    server.start()
    yield server
    server.stop()


class Heard:
    """Subscriber that collects published wake-ups."""

    def __init__(self, redis) -> None:
        self._channel = redis.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe(NAMES.channel)
        self._channel.get_message(timeout=1)

    def all(self) -> list[bytes]:
        found = []
        while message := self._channel.get_message(timeout=0.1):
            found.append(message["data"])
        return found


def publisher(url: str, names: RedisNames | None = NAMES) -> WakeUpPublisher:
    return WakeUpPublisher(url, lambda: names, ["crm", "sms"])


def test_many_wake_ups_are_one_job_and_each_is_published(redis, queues) -> None:
    heard = Heard(redis)
    assert [queues.wake(["crm"]) for _ in range(5)] == [["crm"], [], [], [], []]
    assert queues.queue("crm").count == 1
    assert heard.all() == [b"crm"] * 5


def test_each_destination_has_a_queue_of_its_own(redis, queues) -> None:
    heard = Heard(redis)
    assert queues.wake({"sms", "crm"}) == ["crm", "sms"]
    assert queues.wake(["sms", EVENTS]) == [EVENTS]
    assert [queues.queue(name).count for name in ("crm", "sms", EVENTS)] == [1, 1, 1]
    assert heard.all() == [b"crm sms", b"sms events"]


def test_to_wake_nobody_asks_redis_nothing(store_folder) -> None:
    assert WakeUpQueues(connect(f"unix://{store_folder}/nobody.sock"), NAMES).wake([]) == []


def test_a_wake_up_that_was_taken_makes_room_for_one_more(redis, queues) -> None:
    queues.wake(["crm"])
    queues.queue("crm").empty()
    assert queues.wake(["crm"]) == []  # whoever took it has not looked for the last time
    queues.clear(["crm"])
    assert queues.wake(["crm"]) == ["crm"]


def test_a_queue_that_nobody_serves_does_not_grow(queues) -> None:
    for _ in range(3):
        queues.wake(["crm"])
        queues.clear(["crm"])
    assert queues.queue("crm").count == 1


def test_a_wake_up_that_nobody_takes_gives_way_to_another_in_time(
    redis, queues, monkeypatch
) -> None:
    monkeypatch.setattr(redis_queue, "WAKE_TTL_MS", 60)
    assert queues.wake(["crm"])
    queues.queue("crm").empty()
    until(lambda: not redis.exists(NAMES.wake_key("crm")), 2, "the wake-up to end")
    assert queues.wake(["crm"])


def test_a_wake_up_lasts_five_seconds_at_the_most(redis, queues) -> None:
    queues.wake(["crm"])
    assert 0 < redis.pttl(NAMES.wake_key("crm")) <= 5000


def test_rq_reads_the_job_as_its_own(redis, queues) -> None:
    queues.wake(["crm"])
    [job_id] = queues.queue("crm").job_ids
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    assert job.func_name == SYNC
    assert (list(job.args), job.kwargs) == (["crm"], {})
    assert job.origin == "acme-roofing-1f3a52c0:crm"
    assert job.get_status() is JobStatus.QUEUED
    assert job.result_ttl == 0
    assert (job.timeout, job.failure_ttl) == (redis_queue.JOB_TIMEOUT_S, redis_queue.FAILURE_TTL_S)
    assert redis.smembers("rq:queues") == {b"rq:queue:acme-roofing-1f3a52c0:crm"}


def test_rq_takes_the_job_off_the_queue(redis, queues) -> None:
    queues.wake(["crm"])
    queue = queues.queue("crm")
    taken = queue.dequeue_any([queue], None, redis, serializer=JSONSerializer)
    assert taken is not None
    assert taken[0].func_name == SYNC
    assert queue.count == 0


def test_two_hubs_on_one_redis_share_no_key_queue_or_channel(redis, queues) -> None:
    heard = Heard(redis)
    other = WakeUpQueues(redis, OTHER)
    assert queues.wake(["crm"]) == other.wake(["crm"]) == ["crm"]
    other.clear(["crm"])
    assert queues.wake(["crm"]) == []
    assert heard.all() == [b"crm"] * 2
    assert (queues.queue("crm").count, other.queue("crm").count) == (1, 1)
    mine = [key for key in redis.keys("*") if b"1f3a52c0" in key]
    theirs = [key for key in redis.keys("*") if b"2b000000" in key]
    assert not set(mine) & set(theirs)
    assert Worker.count(queue=queues.queue("crm")) == 0


def test_clearing_in_a_redis_that_is_gone_raises_nothing(store_folder) -> None:
    gone = WakeUpQueues(connect(f"unix://{store_folder}/nobody.sock"), NAMES)
    gone.clear(["crm"])
    with pytest.raises(RedisConnectionError):
        gone.wake(["crm"])


def test_a_redis_that_does_not_answer_is_given_up_within_its_time(own_server) -> None:
    with connect(own_server.url, timeout_s=0.2) as client:
        client.ping()
        own_server.freeze()
        with soon():
            WakeUpQueues(client, NAMES).clear(["crm"])
        own_server.thaw()


def test_waking_returns_at_once_while_redis_does_not_answer(own_server) -> None:
    flusher = publisher(own_server.url)
    own_server.freeze()
    with soon():
        for _ in range(100):
            flusher.wake(["crm"])
    own_server.thaw()


def test_a_wake_up_arrives_when_a_redis_that_was_gone_is_back(own_server, caplog) -> None:
    own_server.stop()
    publisher(own_server.url).wake(["crm"])
    until(lambda: "Redis is gone" in caplog.text, 5, "it to be noticed")
    own_server.start()
    with own_server.client() as client:
        queue = WakeUpQueues(client, NAMES).queue("crm")
        until(lambda: queue.count == 1, 5, "the wake-up")
    assert caplog.text.count("Redis is gone") == 1


def test_a_wake_up_waits_until_the_hub_knows_its_id(redis_url, queues) -> None:
    known: list[RedisNames | None] = [None, None, NAMES]
    flusher = WakeUpPublisher(redis_url, lambda: known.pop(0), ["crm"])
    flusher.wake(["crm"])
    until(lambda: queues.queue("crm").count == 1, 5, "the wake-up")
    assert known == []


def test_a_wake_up_whose_job_could_not_be_enqueued_is_not_pending(queues, monkeypatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RedisConnectionError("the line broke")

    with monkeypatch.context() as broken:
        broken.setattr(Queue, "enqueue_call", breaks)
        with pytest.raises(RedisConnectionError):
            queues.wake(["crm"])
    assert queues.wake(["crm"]) == ["crm"]


@pytest.mark.parametrize("key", ["rq:queues", "rq:queue:acme-roofing-1f3a52c0:crm"])
def test_what_stands_in_place_of_a_queue_is_deleted(redis, queues, key) -> None:
    redis.set(key, "x")
    with pytest.raises(ResponseError):
        queues.wake(["crm"])
    queues.wake(["crm"])
    assert queues.queue("crm").count == 1


def test_an_error_does_not_end_the_thread_that_wakes(redis_url, queues, caplog) -> None:
    ends: list[Exception | RedisNames] = [TimeoutError("the pool is full: jane"), NAMES]

    def find() -> RedisNames:
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    WakeUpPublisher(redis_url, find, ["crm"]).wake(["crm"])
    until(lambda: queues.queue("crm").count == 1, 5, "the wake-up")
    assert "TimeoutError" in caplog.text
    assert "jane" not in caplog.text


def test_names_are_looked_up_again_now_and_then(redis, redis_url, monkeypatch) -> None:
    """A database may be adopted as a copy while its web processes run."""
    monkeypatch.setattr(wake_up_publisher, "LOOK_UP_EVERY_S", 0.0)
    now = [NAMES]
    flusher = WakeUpPublisher(redis_url, lambda: now[0], ["crm"])
    for names in (NAMES, OTHER):
        now[0] = names
        flusher.wake(["crm"])
        queue = WakeUpQueues(redis, names).queue("crm")
        until(lambda queue=queue: queue.count == 1, 5, "the wake-up")


def test_a_queue_is_served_while_a_worker_of_it_lives(redis, queues) -> None:
    assert queues.served(["crm", "sms"]) == set()
    worker = Worker([queues.queue("crm")], connection=redis)
    worker.register_birth()
    assert queues.served(["crm", "sms"]) == {"crm"}
    redis.delete(worker.key)  # as when it has sent no heartbeat for long
    assert queues.served(["crm", "sms"]) == set()


def test_a_wake_up_for_all_reaches_every_destination_and_the_events(redis_url, queues) -> None:
    publisher(redis_url).wake()
    for name in ("crm", "sms", EVENTS):
        until(lambda name=name: queues.queue(name).count == 1, 5, f"the wake-up of {name}")


def test_a_hundred_wakes_in_a_row_are_one_job(redis, redis_url, queues) -> None:
    heard, flusher = Heard(redis), publisher(redis_url)
    for _ in range(100):
        flusher.wake(["crm"])
    flusher.wake(["sms"])
    until(lambda: queues.queue("sms").count, 5, "the last job")
    assert queues.queue("crm").count == 1
    assert 1 <= len(heard.all()) <= 101


def test_a_listener_hears_each_time_that_its_work_is_due(own_server) -> None:
    heard = threading.Semaphore(0)
    listener = WakeUpSubscriber(own_server.url, NAMES.channel, ["crm"], heard.release)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(NAMES.channel)[0][1], 5, "a subscriber")
        queues = WakeUpQueues(client, NAMES)
        for names in (["crm"], ["sms"], ["crm", "sms"], ["crm"]):  # some are not enqueued
            queues.wake(names)
    assert all(heard.acquire(timeout=5) for _ in range(3))
    assert not heard.acquire(timeout=0.3), "it was woken for another destination"
    listener.close()


def test_a_message_without_end_wakes_everybody(own_server) -> None:
    heard = threading.Event()
    listener = WakeUpSubscriber(own_server.url, NAMES.channel, ["crm"], heard.set)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(NAMES.channel)[0][1], 5, "a subscriber")
        client.publish(NAMES.channel, "x" * (redis_queue.NAMES_MOST_BYTES + 1))
    assert heard.wait(5)
    listener.close()


def test_a_closed_listener_is_gone_within_seconds(own_server) -> None:
    listener = WakeUpSubscriber(own_server.url, NAMES.channel, ["crm"], lambda: None)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(NAMES.channel)[0][1], 5, "a subscriber")
        listener.close()
        until(lambda: not client.pubsub_numsub(NAMES.channel)[0][1], 5, "it to leave")


def test_a_listener_hears_again_after_redis_was_gone(own_server) -> None:
    heard = threading.Event()
    listener = WakeUpSubscriber(own_server.url, NAMES.channel, ["crm"], heard.set)
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(NAMES.channel)[0][1], 5, "a subscriber")
    own_server.kill()
    own_server.start()
    with own_server.client() as client:
        until(lambda: client.pubsub_numsub(NAMES.channel)[0][1], 5, "the subscriber to be back")
        WakeUpQueues(client, NAMES).wake(["crm"])
    assert heard.wait(5)
    listener.close()
