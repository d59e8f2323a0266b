"""Worker context: objects shared by all drains of one process, created before the first job."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock

from redis import Redis
from redis.exceptions import RedisError

from hub.core.configuration import Destination
from hub.core.delivery.lane_rows import lane_name
from hub.core.delivery.shards import rate_of
from hub.core.hub import Hub
from hub.core.ports import EVENTS
from hub.gateways.destination_client import DestinationClient
from hub.gateways.redis_queue import RedisNames, WakeUpQueues, WakeUpSubscriber
from hub.process.background_task import BackgroundTask
from hub.worker.lane import RateLimiter
from hub.worker.projector import Projector

THREADS = 64
# How often a task beside the drain may begin a round.
TASKS_EVERY_S = 5.0
# How often a worker passes on a job of the same destination: its holder may be gone.
PASS_ON_EVERY_S = 1.0


@dataclass(slots=True)
class WorkerContext:
    """Hub, the clients of the destinations that this process serves, and the pool of its calls.

    `with_events`: it also serves the queue `EVENTS`. `tasks` run beside the drain; so does the
    `projector`, which every wake-up starts. `stop`: set to request a graceful stop. `on_due`:
    called when a wake-up arrives. `holder`: the name of this process in leases. `limiters`, and the
    times until which lanes are left to other workers (`given_until_s`, monotonic), are by the
    lanes' names. `reading_files`: held while a call's files are read from the database. `sharded`
    are the destinations with several shards that it serves, by their names.
    """

    hub: Hub
    clients: Mapping[str, DestinationClient]
    redis: Redis
    redis_url: str
    names: RedisNames
    with_events: bool = True
    tasks: Sequence[BackgroundTask] = ()
    projector: Projector | None = None
    stop: Event = field(default_factory=Event)
    holder: str = field(default_factory=lambda: _name_of_this_process())
    limiters: dict[str, RateLimiter] = field(default_factory=dict)
    given_until_s: dict[str, float] = field(default_factory=dict)
    reading_files: Lock = field(default_factory=Lock)
    sharded: Mapping[str, Destination] = field(init=False)
    pool: ThreadPoolExecutor = field(init=False)
    queues: WakeUpQueues = field(init=False)
    subscriber: WakeUpSubscriber = field(init=False)
    on_due: Callable[[], None] = lambda: None
    _tasks_at_s: float = field(init=False, default=0.0)
    _passed_on_s: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.queues = WakeUpQueues(self.redis, self.names)
        # One more thread for each lane: whatever the other lanes do, every lane can make one call.
        served = [client.destination for client in self.clients.values()]
        self.sharded = {one.slug: one for one in served if one.shards > 1}
        lanes = sum(one.shards for one in served)
        self.pool = ThreadPoolExecutor(THREADS + lanes, thread_name_prefix="call")
        channel = self.names.channel
        self.subscriber = WakeUpSubscriber(self.redis_url, channel, self.serves, self._on_wake_up)

    @property
    def serves(self) -> Sequence[str]:
        """Names of the queues that this worker serves, `EVENTS` last."""
        return [*self.clients, *([EVENTS] if self.with_events else [])]

    def start_tasks(self) -> None:
        """Start the projector, and at most every `TASKS_EVERY_S` seconds the other tasks."""
        if self.projector:
            self.projector.start_if_idle()
        now_s = time.monotonic()
        if now_s >= self._tasks_at_s:
            self._tasks_at_s = now_s + TASKS_EVERY_S
            for task in self.tasks:
                task.start_if_idle()

    def _on_wake_up(self) -> None:
        self.on_due()
        if self.projector:
            self.projector.start_if_idle()

    def limiter(self, destination: Destination, shard: int = 0) -> RateLimiter:
        """Return the rate limiter of a destination's lane; it persists across drains."""
        name, rate = lane_name(destination.slug, shard), rate_of(destination, shard)
        return self.limiters.setdefault(name, RateLimiter(rate))

    def pass_on(self, name: str) -> None:
        """Enqueue a job once more for another worker, at most every `PASS_ON_EVERY_S` seconds.

        Redis gives a job to the worker that has waited for longest: not to this one.
        """
        now_s = time.monotonic()
        if now_s >= self._passed_on_s.get(name, 0.0):
            self._passed_on_s[name] = now_s + PASS_ON_EVERY_S
            self.queues.clear([name])
            with suppress(RedisError):
                self.queues.wake([name])


def _name_of_this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


_OPEN: list[WorkerContext] = []


def set_current(worker: WorkerContext) -> None:
    """Set the worker context of this process, which `drain` uses."""
    _OPEN[:] = [worker]


def current() -> WorkerContext:
    """Return the worker context of this process.

    Raises:
        RuntimeError: this process is no worker.
    """
    if not _OPEN:
        raise RuntimeError("this process is no hub worker: start it with `hub worker`")
    return _OPEN[0]
