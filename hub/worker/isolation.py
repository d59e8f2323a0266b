"""Isolation of suspected poison deliveries: while one runs, no other call is in flight.

A suspect is a delivery whose last two attempts ended with the death of their worker. Its call
starts only after all other calls have ended, and no other call starts meanwhile. If the worker dies
again, the culprit is known, and no other delivery is affected.
"""

from collections.abc import Collection

from hub.worker.lane import HeldLane

# How long isolated calls may be started, one after another; then all others get as long a turn.
TURN_S = 10.0


class PoisonIsolation:
    """Turn-taking between isolated calls and all others, for the lanes of one drain."""

    def __init__(self) -> None:
        self._lane: HeldLane | None = None
        self._began_s: float | None = None
        self._rests_until_s = 0.0

    def current_lane(self, lanes: Collection[HeldLane], now_s: float) -> HeldLane | None:
        """Return the lane whose next or running call is isolated; None if all lanes may call."""
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
        """Start the turn, when no call is in flight and the first isolated call is made."""
        if self._began_s is None:
            self._began_s = now_s
