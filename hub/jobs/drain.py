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
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from adapters import Outcome, Verdict
from hub.core.claim import Claimed
from hub.core.completing import record_and_complete
from hub.core.folding import fold_some
from hub.core.restored import Window
from hub.core.trouble import Trouble, trouble_of
from hub.gateways.patience import wait_for_store
from hub.gateways.queue import take_wake_up
from hub.jobs.claiming import claim_for
from hub.jobs.keeping import keep_lanes, let_go
from hub.jobs.lane import Block, HeldLane, perform
from hub.jobs.restoring import watch
from hub.jobs.slice import Slice
from hub.jobs.workshop import Workshop, open_one

RENEW_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
"""How often a busy drain looks for due work by itself, in case a wake-up was lost."""
GATHER_S = 0.002
LINGER_S = 1.0
RESCUE_S = 20.0
LONG_WAIT_S = 15.0
"""A lane whose rate lets nothing out for longer is let go, and taken up again by a later drain."""
FOLD_AT_ONCE = 100

log = logging.getLogger(__name__)


def drain() -> None:
    """Do all work that is due. The only function that a worker runs."""
    shop = open_one()
    try:
        Drain(shop).run()
    except DBAPIError as error:
        log.error("the database does not answer (%s)", type(error.orig).__name__)
        wait_for_store(shop.hub.store, shop.stop)


class Drain:
    """One run over the lanes, a slice long at the most."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._lanes: dict[str, HeldLane] = {}
        self._ends: SimpleQueue[tuple[HeldLane, Claimed, Any] | None] = SimpleQueue()
        longest_call_s = max((g.destination.timeout_s for g in workshop.gates.values()), default=0)
        self._slice = Slice(workshop.stop, longest_call_s=longest_call_s)
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
            self._rescue()
            raise
        let_go(self._shop, self._lanes)
        if self._has_worked:
            watch(self._shop.hub, self._shop.redis)
        if self._take_ends() or (self._slice.over and not self._shop.stop.is_set()):
            self._shop.hub.waker.wake()

    def _rescue(self) -> None:
        """Claim nothing more; write what was done, as soon as the database is there."""
        while any(lane.in_flight for lane in self._lanes.values()):
            if (end := self._ends.get()) is not None:
                self._take_end(*end)
        waiting = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            wait=wait_random_exponential(max=2),
            stop=stop_after_delay(RESCUE_S),
            reraise=True,
        )
        waiting(let_go, self._shop, self._lanes)

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
        try:
            return self._ends.get(timeout=LINGER_S) is None
        except Empty:
            return False

    def _busy(self) -> bool:
        now_s = time.monotonic()
        return any(
            not lane.is_empty
            or (
                lane.wants_more
                and self._slice.may_claim(lane, self._lanes.values(), now_s)
                and lane.bucket.wait_s(now_s) < LONG_WAIT_S
            )
            for lane in self._lanes.values()
        )

    def _leave(self, now_s: float) -> None:
        """Let go of lanes that this drain starts no call on any more: others need not wait."""
        late = {
            name: lane
            for name, lane in self._lanes.items()
            if lane.is_empty and self._slice.too_late(lane, now_s)
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
        try:
            end = self._ends.get(timeout=max(0.0, min(until_s) - now_s))
        except Empty:
            return False
        if end is None:
            return self._take_ends() or True
        self._take_end(*end)
        return self._take_ends(gather_s=GATHER_S)

    def _take_ends(self, gather_s: float = 0.0) -> bool:
        """Take what has ended meanwhile; return whether there was a wake-up among it.

        While calls are under way, more ends are gathered for a moment: one write for all of them.
        """
        woken = False
        until_s = time.monotonic() + gather_s
        while True:
            under_way = gather_s and any(lane.in_flight for lane in self._lanes.values())
            patience_s = max(0.0, until_s - time.monotonic()) if under_way else 0.0
            try:
                end = self._ends.get(timeout=patience_s) if patience_s else self._ends.get_nowait()
            except Empty:
                return woken
            if end is None:
                woken = True
            else:
                self._take_end(*end)

    def _take_end(self, lane: HeldLane, claimed: Claimed, result: Any) -> None:
        lane.finish(claimed, *result)

    def _tick(self, *, look: bool) -> None:
        """Keep, take and let go of lanes; then let each record what ended and claim what fits."""
        now_s = time.monotonic()
        renew = now_s >= self._renew_at_s
        keep_lanes(self._shop, self._lanes, renew=renew, take=look and not self._slice.over)
        if renew:
            self._renew_at_s = now_s + RENEW_EVERY_S
        if look:
            self._look_at_s = now_s + LOOK_EVERY_S
        for lane in list(self._lanes.values()):
            room = (
                lane.room(now_s) if self._slice.may_claim(lane, self._lanes.values(), now_s) else 0
            )
            if lane.finished or room:
                self._serve(lane, room)
        self._leave(now_s)

    def _serve(self, lane: HeldLane, room: int) -> None:
        """Record what ended on a lane and claim anew, in one transaction; then call.

        Raises:
            DBAPIError: the database is gone.
        """
        now_s = time.monotonic()
        try:
            with self._shop.hub.store.write() as connection:
                late, made = self._record(connection, lane)
                claimed, more = claim_for(self._shop, connection, lane, room, self._restored)
        except DBAPIError as error:
            if trouble_of(error) is Trouble.GONE:
                raise
            self._hold_back(lane, error)
            return
        self._log(lane, late)
        lane.finished = []
        if made:
            self._shop.hub.waker.wake()
        if more is not None:
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
        lane.in_flight[claimed.attempt_id] = now_s
        call.add_done_callback(partial(self._on_end, lane, claimed))

    def _on_end(self, lane: HeldLane, claimed: Claimed, call: Any) -> None:
        self._ends.put((lane, claimed, call.result()))

    def _hold_back(self, lane: HeldLane, error: DBAPIError) -> None:
        """Let a lane rest whose transaction failed; what has ended on it is recorded alone."""
        name = type(error.orig).__name__
        lane.maybe_due = False
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
