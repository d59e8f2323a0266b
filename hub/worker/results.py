"""Result queue: outcomes of calls from the pool's threads, and wake-ups, for the drain's thread."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from hub.core.delivery.prepare import Claimed
from hub.worker.lane import HeldLane

GATHER_S = 0.003

CallResult = tuple[HeldLane, Claimed, Any]


class ResultQueue:
    """Queue with a single consumer thread, which calls `take` with each result."""

    def __init__(self, take: Callable[[HeldLane, Claimed, Any], None]) -> None:
        self._take = take
        self._queue: SimpleQueue[CallResult | None] = SimpleQueue()
        self.empty = self._queue.empty

    def put(self, end: CallResult | None) -> None:
        """Enqueue a result, or None for a wake-up."""
        self._queue.put(end)

    def wait_one(self, patience_s: float) -> bool | None:
        """Take one item; return whether it was a wake-up, None after `patience_s` seconds."""
        try:
            end = (
                self._queue.get(timeout=patience_s) if patience_s > 0 else self._queue.get_nowait()
            )
        except Empty:
            return None
        if end is not None:
            self._take(*end)
        return end is None

    def drain(self, under_way: Callable[[], bool] | None = None) -> bool:
        """Take all queued items; return whether a wake-up was among them.

        While calls are `under_way`, wait up to `GATHER_S` for more, to record them in one write.
        """
        woken = False
        until_s = time.monotonic() + GATHER_S
        while True:
            gathers = under_way is not None and under_way()
            came = self.wait_one(until_s - time.monotonic() if gathers else 0.0)
            if came is None:
                return woken
            woken = woken or came
