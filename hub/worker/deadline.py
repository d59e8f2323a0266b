"""Deadline of a drain: which lanes may still start calls near the end of its time slice."""

import time
from collections.abc import Iterable
from threading import Event

from hub.worker.lane import HeldLane

SLICE_S = 60.0
# When the last call must have ended: RQ aborts a job after 120 s.
LONGEST_S = 90.0
SLOW_S = 1.0


class DrainDeadline:
    """Deadline of one drain; the time runs from construction."""

    def __init__(self, stop: Event, *, longest_call_s: float) -> None:
        self._stop = stop
        began_s = time.monotonic()
        self._ends_s = began_s + min(SLICE_S, LONGEST_S - longest_call_s)
        self._must_end_s = began_s + LONGEST_S

    @property
    def over(self) -> bool:
        """Whether the slice has ended or a stop was requested: no lane is acquired any more."""
        return self._stop.is_set() or time.monotonic() >= self._ends_s

    def may_claim(self, lane: HeldLane, lanes: Iterable[HeldLane], now_s: float) -> bool:
        """Return whether a lane may start calls.

        After the end of the slice, fast lanes continue until the calls of slow lanes have ended.
        """
        if self._stop.is_set() or self.too_late(lane, now_s):
            return False
        if now_s < self._ends_s:
            return True
        slow = [other for other in lanes if other.slow(now_s, SLOW_S)]
        return bool(slow) and lane not in slow

    def too_late(self, lane: HeldLane, now_s: float) -> bool:
        """Return whether a call that starts now might last longer than the drain may."""
        return now_s + lane.destination.timeout_s > self._must_end_s
