"""How long one run over the lanes lasts, and which lanes may still start calls near its end."""

import time
from collections.abc import Iterable
from threading import Event

from hub.jobs.lane import HeldLane

SLICE_S = 60.0
LONGEST_S = 90.0
"""When the last call must be over: RQ ends a job after 120 s, wherever it is."""
SLOW_S = 1.0


class Slice:
    """A stretch of time that begins now."""

    def __init__(self, stop: Event, *, longest_call_s: float) -> None:
        self._stop = stop
        began_s = time.monotonic()
        self._ends_s = began_s + min(SLICE_S, LONGEST_S - longest_call_s)
        self._must_end_s = began_s + LONGEST_S

    @property
    def over(self) -> bool:
        """Whether no new lane is taken."""
        return self._stop.is_set() or time.monotonic() >= self._ends_s

    def may_claim(self, lane: HeldLane, lanes: Iterable[HeldLane], now_s: float) -> bool:
        """Return whether a lane may start calls.

        When the slice is over, the quick lanes go on until the slow ones' calls have ended.
        """
        if self._stop.is_set() or self.too_late(lane, now_s):
            return False
        if now_s < self._ends_s:
            return True
        slow = [other for other in lanes if other.slow(now_s, SLOW_S)]
        return bool(slow) and lane not in slow

    def too_late(self, lane: HeldLane, now_s: float) -> bool:
        """Return whether a call that starts now might last beyond the end."""
        return now_s + lane.destination.timeout_s > self._must_end_s
