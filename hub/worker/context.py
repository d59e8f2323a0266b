"""What the drains of one process share: made once, before the first job."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from redis import Redis

from hub.core.configuration import Destination
from hub.core.hub import Hub
from hub.gateways.destination_client import DestinationClient
from hub.gateways.redis_queue import WakeUpSubscriber
from hub.worker.lane import RateLimiter

THREADS = 64


@dataclass(slots=True)
class WorkerContext:
    """The hub, its gates, and the threads that make calls.

    `stop` asks everything to end soon. `on_due` is called when work has become due.
    """

    hub: Hub
    clients: Mapping[str, DestinationClient]
    redis: Redis
    redis_url: str
    stop: Event = field(default_factory=Event)
    holder: str = field(default_factory=lambda: _name_of_this_process())
    limiters: dict[str, RateLimiter] = field(default_factory=dict)
    pool: ThreadPoolExecutor = field(init=False)
    on_due: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        # A thread more for each lane: whatever the others do, every lane can make one call.
        self.pool = ThreadPoolExecutor(THREADS + len(self.clients), thread_name_prefix="call")
        WakeUpSubscriber(self.redis_url, lambda: self.on_due())

    def limiter(self, destination: Destination) -> RateLimiter:
        """Return what a destination's rate leaves; it outlives the drains."""
        return self.limiters.setdefault(destination.slug, RateLimiter(destination.rate))


def _name_of_this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


_OPEN: list[WorkerContext] = []


def set_current(workshop: WorkerContext) -> None:
    """Make this process able to drain."""
    _OPEN[:] = [workshop]


def current() -> WorkerContext:
    """Return this process's workshop.

    Raises:
        RuntimeError: it is no worker.
    """
    if not _OPEN:
        raise RuntimeError("this process is no hub worker: start it with `hub worker`")
    return _OPEN[0]
