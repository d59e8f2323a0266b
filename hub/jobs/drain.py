"""The one job: take the lanes that have due work, run them side by side, record what happened.

One thread does all the deciding and all the SQL; the others only make calls, and no transaction is
open while one is under way. Each lane has transactions of its own, so that what goes wrong in one
stops no other. Running two drains at once is harmless: a lane has one holder.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import DBAPIError

from adapters import Outcome, Verdict
from hub.core.delivery.preparing import Claimed
from hub.core.delivery.restored import Window
from hub.core.events.completing import record_and_complete
from hub.core.events.folding import fold_some
from hub.core.trouble import Trouble, trouble_of
from hub.gateways.patience import wait_for_store
from hub.gateways.queue import take_wake_up
from hub.jobs import hung
from hub.jobs.alone import Alone
from hub.jobs.claiming import claim_for
from hub.jobs.ends import Ends
from hub.jobs.keeping import keep_lanes, let_go
from hub.jobs.lane import Block, HeldLane, perform
from hub.jobs.parting import Parting
from hub.jobs.restoring import watch
from hub.jobs.slice import Slice
from hub.jobs.workshop import Workshop, open_one

RENEW_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
"""How often a busy drain looks for due work by itself, in case a wake-up was lost."""
LINGER_S = 1.0
LONG_WAIT_S = 15.0
"""A lane whose rate lets nothing out for longer is let go, and taken up again by a later drain."""
FOLD_AT_ONCE = 100

log = logging.getLogger(__name__)


def drain() -> None:
    """Do all work that is due. The only function that a worker runs."""
    shop = open_one()
    try:
        with hung.watched():
            Drain(shop).run()
    except DBAPIError as error:
        log.error("the database does not answer (%s)", type(error.orig).__name__)
        wait_for_store(shop.hub.store, shop.stop)


class Drain:
    """One run over the lanes, a slice long at the most."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._lanes: dict[str, HeldLane] = {}
        self._ends = Ends(self._take_end)
        longest_call_s = max((g.destination.timeout_s for g in workshop.gates.values()), default=0)
        self._slice = Slice(workshop.stop, longest_call_s=longest_call_s)
        self._alone = Alone()
        self._parting = Parting()
        self._renew_at_s = time.monotonic() + RENEW_EVERY_S
        self._look_at_s = 0.0
        self._has_worked = False
        self._restored: Sequence[Window] = ()

    def run(self) -> None:
        """Work until nothing is due or the slice is over; leave no lane held."""
        self._shop.on_due = lambda: self._ends.put(None)
        self._restored = watch(self._shop.hub, self._shop.redis)
        try:
            self._run()
        except BaseException:  # RQ's alarm too: what was done must be written down
            self._parting.rescue(self._shop, self._lanes, self._ends)
            raise
        let_go(self._shop, self._lanes)
        if self._has_worked:
            watch(self._shop.hub, self._shop.redis)
        if self._ends.rest() or (self._slice.over and not self._shop.stop.is_set()):
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
            take_wake_up(self._shop.redis)
            self._tick(look=True)
            if not self._busy() and not self._fold() and not self._linger():
                return

    def _linger(self) -> bool:
        """After work, wait a little for a wake-up: it is heard here sooner than as a new job."""
        if not self._has_worked:
            return False
        return self._ends.next(LINGER_S) is True

    def _busy(self) -> bool:
        now_s = time.monotonic()
        return any(
            not lane.is_empty
            or (
                lane.wants_more
                and self._may_claim(lane, now_s)
                and lane.bucket.wait_s(now_s) < LONG_WAIT_S
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
            let_go(self._shop, late)
            self._lanes = {name: self._lanes[name] for name in left}
            self._shop.hub.waker.wake()

    def _wait(self) -> bool:
        """Wait for a call's end, a wake-up or the next duty; return whether it was a wake-up."""
        now_s = time.monotonic()
        until_s = [self._renew_at_s, self._look_at_s]
        for lane in self._lanes.values():
            wait_s = lane.bucket.wait_s(now_s) if lane.wants_more else 0.0
            if lane.finished or wait_s:
                until_s.append(now_s + wait_s)
        woken = self._ends.next(min(until_s) - now_s)
        if woken is None:
            return False
        return self._ends.rest(None if woken else self._under_way) or woken

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
        hung.still_alive()
        renew = now_s >= self._renew_at_s
        take = look and not self._slice.over and not self._parting.has_begun
        keep_lanes(self._shop, self._lanes, renew=renew, take=take)
        if renew:
            self._renew_at_s = now_s + RENEW_EVERY_S
        if look:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._parting.look(self._lanes.values(), now_s)
        alone = self._try_alone(now_s)
        for lane in list(self._lanes.values()):
            room = lane.room(now_s) if alone is None and self._may_claim(lane, now_s) else 0
            if lane.finished or room:
                self._serve(lane, room)
        self._leave(now_s)

    def _may_claim(self, lane: HeldLane, now_s: float) -> bool:
        if self._parting.has_begun:
            return False
        return self._slice.may_claim(lane, self._lanes.values(), now_s)

    def _try_alone(self, now_s: float) -> HeldLane | None:
        """Start a call that nothing may be beside; return its lane until that has ended."""
        lanes = self._lanes.values()
        while lane := self._alone.turn(lanes, now_s):
            if self._under_way():
                return lane
            for other in [one for one in lanes if one.finished]:
                self._serve(other, 0)  # what is not written down would seem to have died as well
            if any(one.finished for one in lanes):
                return lane
            if not self._may_claim(lane, now_s):
                return None
            self._alone.begin(now_s)
            self._serve(lane, 1, suspects=True)
        return None

    def _serve(self, lane: HeldLane, room: int, *, suspects: bool = False) -> None:
        """Record what ended on a lane and claim anew, in one transaction; then call.

        Raises:
            DBAPIError: the database is gone.
        """
        now_s = time.monotonic()
        hung.still_alive()
        try:
            with self._shop.hub.store.write() as connection:
                late, made = self._record(connection, lane)
                claimed, more = claim_for(
                    self._shop, connection, lane, room, self._restored, suspects=suspects
                )
        except DBAPIError as error:
            if trouble_of(error) is Trouble.GONE:
                raise
            self._hold_back(lane, error)
            return
        self._log(lane, late)
        lane.finished = []
        if made:
            self._shop.hub.waker.wake()
        if suspects:
            lane.suspects = bool(claimed)
        elif more is not None:
            lane.maybe_due = more
        lane.bucket.start(now_s, len(claimed))
        for one in claimed:
            self._start(lane, one, now_s)

    def _record(self, connection: Any, lane: HeldLane) -> tuple[int, int]:
        return record_and_complete(connection, self._shop.hub, lane.finished, now=datetime.now(UTC))

    def _start(self, lane: HeldLane, claimed: Claimed, now_s: float) -> None:
        self._has_worked = True
        try:
            call = self._shop.pool.submit(perform, lane.gate, claimed, now_s)
        except RuntimeError:  # no thread can be started
            lane.finish(claimed, Outcome(Verdict.NOT_PROCESSED, "no thread for the call"), None)
            return
        lane.in_flight[claimed.delivery_id] = now_s
        call.add_done_callback(partial(self._on_end, lane, claimed))

    def _on_end(self, lane: HeldLane, claimed: Claimed, call: Any) -> None:
        self._ends.put((lane, claimed, call.result()))

    def _hold_back(self, lane: HeldLane, error: DBAPIError) -> None:
        """Let a lane rest whose transaction failed; what has ended on it is recorded alone."""
        name = type(error.orig).__name__
        lane.maybe_due = lane.suspects = False
        if trouble_of(error) is Trouble.BUSY:
            log.warning("%s: the database was busy (%s); again in a moment", lane.hold, name)
            return
        with self._shop.hub.store.write() as connection:
            late, _ = self._record(connection, lane)
            self._log(lane, late)
        lane.finished = []
        lane.block = Block(30, f"has work that the database cannot take ({name})", 0)

    def _fold(self) -> bool:
        """Fold some events into contacts while there is nothing else to do."""
        with self._shop.hub.store.write() as connection:
            return (
                fold_some(connection, self._shop.hub, most=FOLD_AT_ONCE, now=datetime.now(UTC)) > 0
            )

    def _log(self, lane: HeldLane, late: int) -> None:
        if late:
            log.warning("%s: %d calls ended after another took over", lane.destination.slug, late)
            return
        for one in lane.finished:
            level = logging.INFO if one.step.error is None else logging.WARNING
            state, verdict = one.step.delivery, one.outcome.verdict
            log.log(level, "delivery %s %s: %s", one.delivery_id, state, verdict)
