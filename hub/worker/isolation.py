"""Deliveries that two workers in a row have died with: each is tried with nothing beside it.

While they have their turn no other call is started, and theirs not before all others have ended.
If the worker dies once more, it is known of what, and nobody else has suffered.
"""

from collections.abc import Collection

from hub.worker.lane import HeldLane

# How long such calls may be begun, one after the other; then all the rest have as long a turn.
TURN_S = 10.0


class PoisonIsolation:
    """Whose turn it is, of the lanes of one drain."""

    def __init__(self) -> None:
        self._lane: HeldLane | None = None
        self._began_s: float | None = None
        self._rests_until_s = 0.0

    def current_lane(self, lanes: Collection[HeldLane], now_s: float) -> HeldLane | None:
        """Return the lane whose one call is, or will be, the only one; None when all may call."""
        if self._lane is not None and self._lane.in_flight:
            return self._lane
        self._lane = None
        is_over = self._began_s is not None and now_s > self._began_s + TURN_S
        if now_s >= self._rests_until_s and not is_over:
            self._lane = next((one for one in lanes if one.suspects and one.may_call(now_s)), None)
        if self._lane is None and self._began_s is not None:
            self._rests_until_s = now_s + max(TURN_S, now_s - self._began_s)
            self._began_s = None
        return self._lane

    def started(self, now_s: float) -> None:
        """Note that nothing is under way any more, and the first of these calls is made."""
        if self._began_s is None:
            self._began_s = now_s
