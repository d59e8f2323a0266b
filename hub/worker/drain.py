"""The one job: take the lanes that have due work, run them side by side, record what happened.

One thread does all the deciding and all the SQL; the others only make calls, and no transaction is
open while one is under way. Each lane has transactions of its own, so that what goes wrong in one
stops no other. Running two drains at once is harmless: a lane has one holder.

How long one run over the lanes lasts, and which lanes may still start calls near its end.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Event
from typing import Any

from sqlalchemy.exc import DBAPIError

from hub.core.delivery.prepare import Claimed
from hub.core.events.projections import project_some
from hub.gateways.database.wait import wait_for_store
from hub.gateways.redis_queue import clear_wake_up
from hub.gateways.restore_check import check_restored
from hub.worker import hang_timer
from hub.worker.batch import LaneBatch
from hub.worker.context import WorkerContext, current
from hub.worker.isolation import PoisonIsolation
from hub.worker.lane import HeldLane
from hub.worker.leases import release_all, sync
from hub.worker.results import ResultQueue
from hub.worker.watchdog import StuckCallWatchdog

SLICE_S = 60.0
# When the last call must be over: RQ ends a job after 120 s, wherever it is.
LONGEST_S = 90.0
SLOW_S = 1.0


class DrainDeadline:
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


RENEW_EVERY_S = 5.0
# How often a busy drain looks for due work by itself, in case a wake-up was lost.
LOOK_EVERY_S = 1.0
LINGER_S = 1.0
# A lane whose rate lets nothing out for longer is let go, and taken up again by a later drain.
LONG_WAIT_S = 15.0
FOLD_AT_ONCE = 100

log = logging.getLogger(__name__)


def drain() -> None:
    """Do all work that is due. The only function that a worker runs."""
    worker = current()
    try:
        with hang_timer.armed():
            Drain(worker).run()
    except DBAPIError as error:
        log.error("the database does not answer (%s)", type(error.orig).__name__)
        wait_for_store(worker.hub.store, worker.stop)


class Drain:
    """One run over the lanes, a slice long at the most."""

    def __init__(self, workshop: WorkerContext) -> None:
        self._shop = workshop
        self._lanes: dict[str, HeldLane] = {}
        self._ends = ResultQueue(self._take_end)
        longest_call_s = max(
            (g.destination.timeout_s for g in workshop.clients.values()), default=0
        )
        self._slice = DrainDeadline(workshop.stop, longest_call_s=longest_call_s)
        self._alone = PoisonIsolation()
        self._parting = StuckCallWatchdog()
        self._renew_at_s = time.monotonic() + RENEW_EVERY_S
        self._look_at_s = 0.0
        self._serving = LaneBatch(workshop, self._ends)

    def run(self) -> None:
        """Work until nothing is due or the slice is over; leave no lane held."""
        self._shop.on_due = lambda: self._ends.put(None)
        self._serving.restored = check_restored(self._shop.hub, self._shop.redis)
        try:
            self._run()
        except BaseException:  # RQ's alarm too: what was done must be written down
            self._parting.flush_and_exit(self._shop, self._lanes, self._ends)
            raise
        release_all(self._shop, self._lanes)
        if self._serving.has_called:
            check_restored(self._shop.hub, self._shop.redis)
        if self._ends.drain() or (self._slice.over and not self._shop.stop.is_set()):
            self._shop.hub.waker.wake()

    def _run(self) -> None:
        self._tick(look=True)
        while True:
            if self._busy():
                woken = self._wait()
                self._tick(look=woken or time.monotonic() >= self._look_at_s)
                continue
            if self._slice.over:
                return
            clear_wake_up(self._shop.redis)
            self._tick(look=True)
            if not self._busy() and not self._fold() and not self._linger():
                return

    def _linger(self) -> bool:
        """After work, wait a little for a wake-up: it is heard here sooner than as a new job."""
        if not self._serving.has_called:
            return False
        return self._ends.wait_one(LINGER_S) is True

    def _busy(self) -> bool:
        now_s = time.monotonic()
        return any(
            not lane.is_empty
            or (
                lane.wants_more
                and self._may_claim(lane, now_s)
                and lane.limiter.wait_s(now_s) < LONG_WAIT_S
            )
            for lane in self._lanes.values()
        )

    def _leave(self, now_s: float) -> None:
        """Let go of lanes that this drain starts no call on any more: others need not wait."""
        late = {
            name: lane
            for name, lane in self._lanes.items()
            if lane.is_empty and (self._parting.has_begun or self._slice.too_late(lane, now_s))
        }
        if late:
            left = self._lanes.keys() - late.keys()
            release_all(self._shop, late)
            self._lanes = {name: self._lanes[name] for name in left}
            self._shop.hub.waker.wake()

    def _wait(self) -> bool:
        """Wait for a call's end, a wake-up or the next duty; return whether it was a wake-up."""
        now_s = time.monotonic()
        until_s = [self._renew_at_s, self._look_at_s]
        for lane in self._lanes.values():
            wait_s = lane.limiter.wait_s(now_s) if lane.wants_more else 0.0
            if lane.finished or wait_s:
                until_s.append(now_s + wait_s)
        woken = self._ends.wait_one(min(until_s) - now_s)
        if woken is None:
            return False
        return self._ends.drain(None if woken else self._under_way) or woken

    def _under_way(self) -> bool:
        return any(lane.in_flight for lane in self._lanes.values())

    def _take_end(self, lane: HeldLane, claimed: Claimed, result: Any) -> None:
        lane.finish(claimed, *result)

    def _tick(self, *, look: bool) -> None:
        """Keep, take and let go of lanes; then let each record what ended and claim what fits.

        Raises:
            DBAPIError: the database is gone.
            CallStuck: see `Parting.look`.
        """
        now_s = time.monotonic()
        hang_timer.feed()
        renew = now_s >= self._renew_at_s
        take = look and not self._slice.over and not self._parting.has_begun
        sync(self._shop, self._lanes, renew=renew, take=take)
        if renew:
            self._renew_at_s = now_s + RENEW_EVERY_S
        if look:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._parting.check(self._lanes.values(), now_s)
        alone = self._try_alone(now_s)
        for lane in list(self._lanes.values()):
            room = lane.room(now_s) if alone is None and self._may_claim(lane, now_s) else 0
            if lane.finished or room:
                self._serving.record_and_claim(lane, room)
        self._leave(now_s)

    def _may_claim(self, lane: HeldLane, now_s: float) -> bool:
        if self._parting.has_begun:
            return False
        return self._slice.may_claim(lane, self._lanes.values(), now_s)

    def _try_alone(self, now_s: float) -> HeldLane | None:
        """Start a call that nothing may be beside; return its lane until that has ended."""
        lanes = self._lanes.values()
        while lane := self._alone.current_lane(lanes, now_s):
            if self._under_way():
                return lane
            for other in [one for one in lanes if one.finished]:
                self._serving.record_and_claim(
                    other, 0
                )  # unwritten, it would seem to have died as well
            if any(one.finished for one in lanes):
                return lane
            if not self._may_claim(lane, now_s):
                return None
            self._alone.started(now_s)
            self._serving.record_and_claim(lane, 1, suspects=True)
        return None

    def _fold(self) -> bool:
        """Fold some events into contacts while there is nothing else to do."""
        with self._shop.hub.store.write() as connection:
            return (
                project_some(connection, self._shop.hub, most=FOLD_AT_ONCE, now=datetime.now(UTC))
                > 0
            )
