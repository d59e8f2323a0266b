"""Worker context: objects shared by all drains of one process, created before the first job."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock

from redis import Redis

from hub.core.configuration import Destination
from hub.core.hub import Hub
from hub.gateways.destination_client import DestinationClient
from hub.gateways.redis_queue import WakeUpSubscriber
from hub.worker.lane import RateLimiter

THREADS = 64


@dataclass(slots=True)
class WorkerContext:
    """Hub, destination clients and the thread pool that makes calls.

    `stop`: set to request a graceful stop. `on_due`: called when a wake-up arrives.
    `holder`: the name of this process in leases. `reading_files`: held while a call's files are
    read from the database.
    """

    hub: Hub
    clients: Mapping[str, DestinationClient]
    redis: Redis
    redis_url: str
    stop: Event = field(default_factory=Event)
    holder: str = field(default_factory=lambda: _name_of_this_process())
    limiters: dict[str, RateLimiter] = field(default_factory=dict)
    reading_files: Lock = field(default_factory=Lock)
    pool: ThreadPoolExecutor = field(init=False)
    on_due: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        # One more thread for each lane: whatever the other lanes do, every lane can make one call.
        self.pool = ThreadPoolExecutor(THREADS + len(self.clients), thread_name_prefix="call")
        WakeUpSubscriber(self.redis_url, lambda: self.on_due())

    def limiter(self, destination: Destination) -> RateLimiter:
        """Return the rate limiter of a destination; it persists across drains."""
        return self.limiters.setdefault(destination.slug, RateLimiter(destination.rate))


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
