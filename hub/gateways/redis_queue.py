"""Wake-up queues on Redis and RQ, one per destination. All work is recorded in the database.

A wake-up is a job without content: its queue and its one argument name the destination that has
due work, or `EVENTS`. However many webhooks arrive, at most one job waits in a queue. Workers that
run already are notified of each wake-up at once, by publish/subscribe.

All names begin with the hub's own (see `hub.core.identity`): hubs may share a Redis.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from hub.core.identity import key_prefix, queue_prefix
from hub.core.ports import EVENTS

if TYPE_CHECKING:
    from rq import Queue

# The job's name on the wire, not an import path: workers of several releases share the queues
# during a rollout.
SYNC = "hub.sync"
WAKE_TTL_MS = 5000
JOB_TIMEOUT_S = 120
FAILURE_TTL_S = 3600
WAIT_WHEN_GONE_S = 0.5
# How long a listener waits for a message until it sees whether it is closed.
LISTEN_S = 2.0
# A longer message on the channel names nobody that can be read: everybody looks.
NAMES_MOST_BYTES = 64 * 1024

log = logging.getLogger(__name__)


def connect(url: str, *, timeout_s: float = 1.0) -> Redis:
    """Return a Redis client without retries: losing a wake-up is better than waiting for one."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


@dataclass(frozen=True, slots=True)
class RedisNames:
    """Names of one hub in Redis. Queue names are for people: they show the site's name."""

    site: str | None
    hub_id: UUID

    def queue(self, destination: str) -> str:
        """Return the name of a destination's RQ queue."""
        return f"{queue_prefix(self.site, self.hub_id)}:{destination}"

    def wake_key(self, destination: str) -> str:
        """Return the key that stands in front of a queue: it lives while a wake-up is pending."""
        return f"{key_prefix(self.hub_id)}wake:{self.queue(destination)}"

    @property
    def channel(self) -> str:
        """The channel on which running workers are notified."""
        return f"{key_prefix(self.hub_id)}due"


class WakeUpQueues:
    """Queues of one hub: sends and clears its wake-ups, and lends RQ's queues."""

    def __init__(self, redis: Redis, names: RedisNames) -> None:
        self.names = names
        self._redis = redis
        self._queues: dict[str, Queue] = {}

    def queue(self, destination: str) -> "Queue":
        """Return the RQ queue of a destination, or that of `EVENTS`."""
        if destination not in self._queues:
            # Imported here because every command waits for what this module imports.
            from rq import Queue
            from rq.serializers import JSONSerializer

            self._queues[destination] = Queue(
                self.names.queue(destination), connection=self._redis, serializer=JSONSerializer
            )
        return self._queues[destination]

    def wake(self, destinations: Collection[str]) -> list[str]:
        """Notify running workers, and enqueue a job for each destination that has none pending.

        Return the destinations for which a job was enqueued.

        Raises:
            RedisError: Redis does not answer.
        """
        # The events last: whoever wakes up looks after the calls first.
        wanted = sorted(destinations, key=lambda name: (name == EVENTS, name))
        if not wanted:
            return []
        try:
            return self._wake(wanted)
        except ResponseError:  # something else stands in place of a queue
            self.mend(wanted)
            self.clear(wanted)
            raise

    def _wake(self, wanted: Sequence[str]) -> list[str]:
        ask = self._redis.pipeline(transaction=False)
        ask.publish(self.names.channel, " ".join(wanted))
        for name in wanted:
            ask.set(self.names.wake_key(name), 1, nx=True, px=WAKE_TTL_MS)
        new = [name for name, is_new in zip(wanted, ask.execute()[1:], strict=True) if is_new]
        # A job that still waits is as good as a new one: an unserved queue does not grow.
        due = [name for name in new if not self._redis.llen(self.queue(name).key)]
        if due:
            try:
                self._enqueue(due)
            except RedisError:
                self.clear(due)
                raise
        return due

    def _enqueue(self, destinations: Iterable[str]) -> None:
        jobs = self._redis.pipeline()
        for name in destinations:
            self.queue(name).enqueue_call(
                SYNC,
                args=[name],
                timeout=JOB_TIMEOUT_S,
                result_ttl=0,
                failure_ttl=FAILURE_TTL_S,
                pipeline=jobs,
            )
        jobs.execute()

    def served(self, destinations: Iterable[str]) -> set[str]:
        """Return the queues that a living worker serves, by RQ's registry.

        A worker that has sent no heartbeat for longer than it may is not living.

        Raises:
            RedisError: Redis does not answer.
        """
        from rq import Worker

        found = set()
        for name in destinations:
            keys = Worker.all_keys(queue=self.queue(name))
            if keys and self._redis.exists(*keys):
                found.add(name)
        return found

    def mend(self, destinations: Iterable[str]) -> None:
        """Delete what stands under the names of these queues, and is of another type than RQ's.

        No worker could take a job, nor be listed. Whoever can write to Redis can put it there.

        Raises:
            RedisError: Redis does not answer.
        """
        from rq import Worker
        from rq.worker_registration import WORKERS_BY_QUEUE_KEY

        types = {Worker.redis_workers_keys: b"set"}
        for queue in map(self.queue, destinations):
            types |= {queue.redis_queues_keys: b"set", WORKERS_BY_QUEUE_KEY % queue.name: b"set"}
            types |= {queue.key: b"list", queue.intermediate_queue_key: b"list"}
            for registry in (queue.started_job_registry, queue.finished_job_registry,
                             queue.failed_job_registry, queue.deferred_job_registry):  # fmt: skip
                types[registry.key] = b"zset"
        ask = self._redis.pipeline(transaction=False)
        for key in types:
            ask.type(key)
        found = zip(types.items(), ask.execute(), strict=True)
        odd = [key for (key, wanted), is_type in found if is_type not in (wanted, b"none")]
        if odd:
            log.warning("keys of RQ in Redis that were of another type are deleted: %d", len(odd))
            self._redis.unlink(*odd)

    def clear(self, destinations: Iterable[str]) -> None:
        """Delete the pending wake-ups, so that the next ones enqueue jobs.

        Call this before the last check for due work, so that no wake-up falls in between.
        """
        keys = [self.names.wake_key(name) for name in destinations]
        if keys:
            with suppress(RedisError):
                self._redis.delete(*keys)


class WakeUpSubscriber:
    """Subscriber that calls `on_due` for every wake-up that concerns one of `destinations`.

    Silent without Redis.
    """

    def __init__(
        self, url: str, channel: str, destinations: Collection[str], on_due: Callable[[], None]
    ) -> None:
        self._url = url
        self._channel = channel
        self._destinations = frozenset(destinations)
        self._on_due = on_due
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the listener thread, within `LISTEN_S` seconds."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except RedisError:
                self._closed.wait(WAIT_WHEN_GONE_S)

    def _listen(self) -> None:
        with connect(self._url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self._channel)
            while not self._closed.is_set():
                message: Mapping[str, bytes] | None = channel.get_message(timeout=LISTEN_S)
                if message and self._concerns(message["data"]):
                    self._on_due()

    def _concerns(self, named: bytes) -> bool:
        if len(named) > NAMES_MOST_BYTES:
            return True
        return not self._destinations.isdisjoint(named.decode("utf-8", "replace").split())
