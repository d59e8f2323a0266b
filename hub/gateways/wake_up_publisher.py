"""Wake-ups sent beside the work of a process: no request waits for Redis."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable

from redis import Redis
from redis.exceptions import RedisError

from hub.core.ports import EVENTS
from hub.gateways.redis_queue import WAIT_WHEN_GONE_S, RedisNames, WakeUpQueues, connect

# The first wake-up after a pause goes at once; under load one message speaks for many webhooks.
AT_MOST_EVERY_S = 0.02
LOOK_UP_EVERY_S = 60.0

log = logging.getLogger(__name__)


class WakeUpPublisher:
    """`Waker` of a process: a thread of its own talks to Redis, so that no request waits for it.

    `find_names` returns the hub's names, or None while they are not known: they come from the
    database, which may be unavailable. They are looked up again now and then, since a database may
    be adopted as a copy. `destinations` are all of the hub's.
    """

    def __init__(
        self,
        url: str,
        find_names: Callable[[], RedisNames | None],
        destinations: Iterable[str],
    ) -> None:
        self._url = url
        self._find_names = find_names
        self._all = frozenset(destinations) | {EVENTS}
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._wanted: set[str] = set()
        self._started = False
        self._queues: WakeUpQueues | None = None
        self._look_up_at_s = 0.0

    def wake(self, destinations: Collection[str] | None = None) -> None:
        """Request a wake-up for these destinations, None for all; return at once."""
        with self._lock:
            self._wanted |= self._all if destinations is None else set(destinations)
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="flusher", daemon=True).start()
        self._due.set()

    def _run(self) -> None:
        pause, redis, gone = threading.Event(), connect(self._url), False
        while True:
            self._due.wait()
            self._due.clear()
            wanted = self._take()
            try:
                queues = self._open(redis)
                if queues is not None and gone:
                    # Set by a try whose answer was lost, they may have no job.
                    queues.clear(wanted)
                if queues is not None:
                    queues.wake(wanted)
            except Exception as error:  # noqa: BLE001 - without its thread, nothing is woken ever
                if not gone:
                    log.warning(
                        "no wake-up: %s (%s); the sweep makes up for it",
                        "Redis is gone" if isinstance(error, RedisError) else "an error",
                        type(error).__name__,
                    )
                gone, queues = True, None
            if queues is None:
                self.wake(wanted)
                pause.wait(WAIT_WHEN_GONE_S)
                continue
            if gone:
                log.info("Redis is back")
            gone = False
            pause.wait(AT_MOST_EVERY_S)

    def _open(self, redis: Redis) -> WakeUpQueues | None:
        now_s = time.monotonic()
        if self._queues is None or now_s >= self._look_up_at_s:
            names = self._find_names()
            if names is None:
                return None
            if self._queues is None or self._queues.names != names:
                self._queues = WakeUpQueues(redis, names)
            self._look_up_at_s = now_s + LOOK_UP_EVERY_S
        return self._queues

    def _take(self) -> set[str]:
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        return wanted
