"""The ends of calls as they come in from other threads, and the wake-ups among them."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from hub.core.delivery.prepare import Claimed
from hub.worker.lane import HeldLane

GATHER_S = 0.002

CallResult = tuple[HeldLane, Claimed, Any]


class ResultQueue:
    """A queue that one thread takes from. `take` is called there with each end."""

    def __init__(self, take: Callable[[HeldLane, Claimed, Any], None]) -> None:
        self._take = take
        self._queue: SimpleQueue[CallResult | None] = SimpleQueue()
        self.empty = self._queue.empty

    def put(self, end: CallResult | None) -> None:
        """Tell of an end, or with None of a wake-up."""
        self._queue.put(end)

    def wait_one(self, patience_s: float) -> bool | None:
        """Take what comes next; return whether it was a wake-up, None when nothing came in time."""
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
        """Take what has come meanwhile; return whether there was a wake-up among it.

        While calls are `under_way`, more is gathered for a moment: one write for all of them.
        """
        woken = False
        until_s = time.monotonic() + GATHER_S
        while True:
            gathers = under_way is not None and under_way()
            came = self.wait_one(until_s - time.monotonic() if gathers else 0.0)
            if came is None:
                return woken
            woken = woken or came
