"""Wake-up queue on Redis and RQ. It carries wake-ups only; all work is recorded in the database.

One queue, one job, no arguments. However many webhooks arrive, a wake-up is enqueued at most once
in five seconds, unless a drain has consumed it in between; running drains are notified of each one
at once, by publish/subscribe.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from rq import Queue

QUEUE = "hub"
# The job's name on the wire, not an import path: workers of several releases share the queue during
# a rollout, so the name has outlived the module that it once named. `rq_worker.JOBS` maps it.
DRAIN = "hub.jobs.drain.drain"
WAKE_KEY = "hub:wake"
CHANNEL = "hub:due"
WAKE_TTL_MS = 5000
JOB_TIMEOUT_S = 120
FAILURE_TTL_S = 3600
AT_MOST_EVERY_S = 0.005
WAIT_WHEN_GONE_S = 0.5

log = logging.getLogger(__name__)

# KEYS: the wake-up. ARGV: the channel. Usually a wake-up is already pending, and only this runs.
_TELL = """
redis.call('PUBLISH', ARGV[1], '1')
return redis.call('EXISTS', KEYS[1])
"""
# KEYS: the wake-up, the job's hash, RQ's set of queues, the queue.
# ARGV: time to live of the wake-up, queue's key, job's id, then the hash's fields.
_WAKE = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('RPUSH', KEYS[4], ARGV[3])
return 1
"""


def connect(url: str, *, timeout_s: float = 1.0) -> Redis:
    """Return a Redis client without retries: losing a wake-up is better than waiting for one."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


def queue(redis: Redis) -> "Queue":
    """Return the hub's only RQ queue."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    return Queue(QUEUE, connection=redis, serializer=JSONSerializer)


def enqueue_drain(redis: Redis) -> bool:
    """Notify running drains that work is due; enqueue a drain job unless a wake-up is pending.

    Return whether a job was enqueued.

    Raises:
        RedisError: Redis does not answer.
    """
    if redis.eval(_TELL, 1, WAKE_KEY, CHANNEL):
        return False
    # Imported here because every command waits for what this module imports.
    from rq import Queue
    from rq.job import Job, JobStatus
    from rq.serializers import JSONSerializer

    job = Job.create(
        DRAIN,
        connection=redis,
        serializer=JSONSerializer,
        timeout=JOB_TIMEOUT_S,
        result_ttl=0,
        failure_ttl=FAILURE_TTL_S,
        status=JobStatus.QUEUED,
        origin=QUEUE,
        description="drain",
    )
    fields = [part for pair in job.to_dict().items() for part in pair]
    keys = [
        WAKE_KEY,
        job.key,
        Queue.redis_queues_keys,
        f"{Queue.redis_queue_namespace_prefix}{QUEUE}",
    ]
    arguments = [WAKE_TTL_MS, keys[3], job.id, *fields]
    return bool(redis.eval(_WAKE, len(keys), *keys, *arguments))


def clear_wake_up(redis: Redis) -> None:
    """Delete the pending wake-up, so that the next one enqueues a job.

    Call this before the last check for due work, so that no wake-up falls in between.
    """
    with suppress(RedisError):
        redis.delete(WAKE_KEY)


class WakeUpPublisher:
    """`Waker` of a process: a thread of its own talks to Redis, so that no request waits for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._due = threading.Event()
        self._start_once = threading.Lock()
        self._started = False

    def wake(self) -> None:
        """Request a wake-up; return at once."""
        if not self._started:
            self._start()
        self._due.set()

    def _start(self) -> None:
        with self._start_once:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="flusher", daemon=True).start()

    def _run(self) -> None:
        redis = connect(self._url)
        pause = threading.Event()
        gone = False
        while True:
            self._due.wait()
            self._due.clear()
            try:
                enqueue_drain(redis)
            except RedisError as error:
                if not gone:
                    log.warning(
                        "no wake-up: Redis is gone (%s); the sweep makes up for it",
                        type(error).__name__,
                    )
                gone = True
                self._due.set()
                pause.wait(WAIT_WHEN_GONE_S)
                continue
            if gone:
                log.info("Redis is back")
            gone = False
            pause.wait(AT_MOST_EVERY_S)


class WakeUpSubscriber:
    """Subscriber that calls `on_due` for every wake-up while it is open; silent without Redis."""

    def __init__(self, url: str, on_due: Callable[[], None]) -> None:
        self._url = url
        self._on_due = on_due
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the listener thread, within a second."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except RedisError:
                self._closed.wait(WAIT_WHEN_GONE_S)

    def _listen(self) -> None:
        with connect(self._url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(CHANNEL)
            while not self._closed.is_set():
                if channel.get_message(timeout=0.5):
                    self._on_due()
