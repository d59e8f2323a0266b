"""The one job: take the lanes that have due work, run them side by side, record what happened.

One thread does all the deciding and all the SQL; the others only make calls, and no transaction is
open while one is under way. Running two drains at once is harmless: a lane has one holder.
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from random import random
from typing import Any

from sqlalchemy.exc import DBAPIError
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from hub.core import lanes
from hub.core.claim import Claimed, claim
from hub.core.contacts import fold_some
from hub.core.context import Contexts
from hub.core.record import Finished, abandon, orphans, record
from hub.core.routing import site_scope
from hub.gateways.patience import wait_for_store
from hub.gateways.queue import take_wake_up
from hub.jobs.lane import HeldLane, perform
from hub.jobs.workshop import THREADS, Workshop, open_one

SLICE_S = 60.0
RENEW_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
"""How often a busy drain looks for due work by itself, in case a wake-up was lost."""
SLOW_S = 1.0
LONGEST_S = 105.0
"""When the last call must be over: RQ ends a job after 120 s, wherever it is."""
FOLD_AT_ONCE = 200
RESCUE_S = 30.0

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
        self._hub = workshop.hub
        self._lanes: dict[str, HeldLane] = {}
        self._ends: SimpleQueue[tuple[HeldLane, Claimed, Any] | None] = SimpleQueue()
        self._finished: list[Finished] = []
        self._slice_ends_s = time.monotonic() + SLICE_S
        self._must_end_s = time.monotonic() + LONGEST_S
        self._renew_at_s = 0.0
        self._look_at_s = 0.0

    def run(self) -> None:
        """Work until nothing is due or the slice is over; leave no lane held."""
        self._shop.on_due = lambda: self._ends.put(None)
        try:
            self._run()
        except DBAPIError:
            self._rescue()
            raise
        self._let_go()

    def _rescue(self) -> None:
        """The database is gone: claim nothing more, and write what was done once it is back."""
        waiting = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            wait=wait_random_exponential(max=5),
            stop=stop_after_delay(RESCUE_S) | stop_when_event_set(self._shop.stop),
            reraise=True,
        )
        while any(lane.in_flight for lane in self._lanes.values()):
            if (end := self._ends.get()) is not None:
                self._take_end(*end)
        log.warning("the database is gone; %d finished calls wait for it", len(self._finished))
        waiting(self._let_go)

    def _run(self) -> None:
        last_look = False
        self._lanes_and_claims(look=True)
        while True:
            if not self._busy():
                if self._over() or (last_look and not self._fold()):
                    break
                take_wake_up(self._shop.redis)
                last_look = True
                self._lanes_and_claims(look=True)
                continue
            last_look = False
            woken = self._wait()
            look = woken or time.monotonic() >= self._look_at_s
            self._lanes_and_claims(look=look)
        if self._over() and not self._shop.stop.is_set():
            self._hub.waker.wake()

    def _busy(self) -> bool:
        if self._finished or any(lane.in_flight for lane in self._lanes.values()):
            return True
        if self._over():
            return False
        return any(lane.maybe_due and not lane.block for lane in self._lanes.values())

    def _over(self) -> bool:
        return self._shop.stop.is_set() or time.monotonic() >= self._slice_ends_s

    def _may_claim(self, lane: HeldLane, now_s: float) -> bool:
        """Return whether a lane may start calls.

        When the slice is over, the quick lanes go on until the slow ones' calls have ended.
        """
        if self._shop.stop.is_set() or now_s + lane.destination.timeout_s > self._must_end_s:
            return False
        if now_s < self._slice_ends_s:
            return True
        slow = [other for other in self._lanes.values() if other.slow(now_s, SLOW_S)]
        return bool(slow) and lane not in slow

    def _wait(self) -> bool:
        """Wait for a call's end, a wake-up or the next duty; return whether it was a wake-up."""
        now_s = time.monotonic()
        waits = [lane.bucket.wait_s(now_s) for lane in self._lanes.values() if lane.maybe_due]
        until_s = min(self._renew_at_s, self._look_at_s)
        timeout_s = max(0.0, min([until_s - now_s, *[wait for wait in waits if wait > 0]]))
        woken = False
        try:
            end = self._ends.get(timeout=timeout_s)
            while True:
                if end is None:
                    woken = True
                else:
                    self._take_end(*end)
                end = self._ends.get_nowait()
        except Empty:
            return woken

    def _take_end(self, lane: HeldLane, claimed: Claimed, result: Any) -> None:
        outcome, request = result
        lane.in_flight.pop(claimed.attempt_id, None)
        self._finished.append(lane.finish(claimed, outcome, request))

    def _lanes_and_claims(self, *, look: bool) -> None:
        """Record what ended, keep and take lanes, claim what fits: one transaction, then call."""
        now_s = time.monotonic()
        starts: list[tuple[HeldLane, Claimed]] = []
        with self._hub.store.write() as connection:
            record(connection, self._finished)
            if now_s >= self._renew_at_s:
                self._renew(connection)
            self._settle_lanes(connection)
            if look:
                self._take_lanes(connection)
            roomy = self._roomy(now_s)
            if roomy:
                starts = self._claim(connection, roomy, now_s)
        for one in self._finished:
            self._log(one)
        self._finished = []
        if look:
            self._look_at_s = now_s + LOOK_EVERY_S
        for lane, claimed in starts:
            lane.in_flight[claimed.attempt_id] = now_s
            self._start(lane, claimed)

    def _renew(self, connection: Any) -> None:
        if self._lanes:
            held = lanes.renew(connection, [lane.hold for lane in self._lanes.values()])
            for destination in set(self._lanes) - held:
                log.warning("lost the lane of %s to another worker", destination)
                del self._lanes[destination]
        self._renew_at_s = time.monotonic() + RENEW_EVERY_S

    def _settle_lanes(self, connection: Any) -> None:
        """Write down what lanes have learned; let go of the blocked ones once they are empty."""
        for destination, lane in list(self._lanes.items()):
            if lane.recovered:
                lanes.recover(connection, lane.hold)
                lane.recovered = False
            if lane.block and not lane.in_flight:
                block = lane.block
                lanes.block(
                    connection,
                    lane.hold,
                    for_s=block.for_s,
                    reason=block.reason,
                    setbacks=block.setbacks,
                )
                lanes.release(connection, [lane.hold])
                del self._lanes[destination]
                log.error(
                    "%s %s; nothing goes out for %.0f s", destination, block.reason, block.for_s
                )

    def _take_lanes(self, connection: Any) -> None:
        for lane in self._lanes.values():
            lane.maybe_due = True
        wanted = [name for name in self._shop.gates if name not in self._lanes]
        if not wanted or self._over():
            return
        for hold in lanes.take(connection, self._shop.holder, wanted, most=len(wanted)):
            gate = self._shop.gates[hold.destination]
            used = sum(lane.slots for lane in self._lanes.values())
            slots = min(gate.destination.concurrency, max(1, THREADS - used))
            lane = HeldLane.of(hold, gate, slots)
            self._lanes[hold.destination] = lane
            record(connection, list(self._orphans(connection, lane)))

    def _orphans(self, connection: Any, lane: HeldLane) -> Iterable[Finished]:
        for orphan in orphans(connection, lane.hold):
            route = self._hub.router.named(orphan["route"])
            protection = lane.protection(
                orphan["action"], at_least_once=bool(route and route.at_least_once)
            )
            yield abandon(orphan, protection, chance=random())  # noqa: S311

    def _roomy(self, now_s: float) -> list[HeldLane]:
        return [
            lane
            for lane in self._lanes.values()
            if lane.room(now_s) and self._may_claim(lane, now_s)
        ]

    def _claim(
        self, connection: Any, roomy: list[HeldLane], now_s: float
    ) -> list[tuple[HeldLane, Claimed]]:
        workable = lanes.workable(connection, [lane.hold for lane in roomy])
        now = datetime.now(UTC)
        contexts = Contexts(
            connection,
            site=site_scope(self._hub.configuration.site),
            inbound=self._hub.inbound,
            now=now,
        )
        starts: list[tuple[HeldLane, Claimed]] = []
        for lane in roomy:
            if lane.destination.slug not in workable:
                lane.maybe_due = False
                continue
            claimed, more = claim(
                connection,
                lane.hold,
                slots=lane.room(now_s),
                router=self._hub.router,
                contexts=contexts,
                now=now,
                sandbox=lane.destination.sandbox,
                actions=lane.gate.adapter.actions,
            )
            lane.maybe_due = more
            lane.bucket.start(now_s, len(claimed))
            starts += [(lane, one) for one in claimed]
        return starts

    def _start(self, lane: HeldLane, claimed: Claimed) -> None:
        def on_end(future: Future[Any]) -> None:
            self._ends.put((lane, claimed, future.result()))

        self._shop.pool.submit(perform, lane.gate, claimed).add_done_callback(on_end)

    def _fold(self) -> bool:
        """Fold some events into contacts while there is nothing else to do."""
        with self._hub.store.write() as connection:
            return fold_some(connection, most=FOLD_AT_ONCE, now=datetime.now(UTC)) > 0

    def _let_go(self) -> None:
        if not self._lanes and not self._finished:
            return
        holds = [lane.hold for lane in self._lanes.values()]
        with self._hub.store.write() as connection:
            record(connection, self._finished)
            lanes.release(connection, holds)

    def _log(self, one: Finished) -> None:
        level = logging.INFO if one.step.error is None else logging.WARNING
        log.log(
            level, "delivery %s %s: %s", one.delivery_id, one.step.delivery, one.outcome.verdict
        )
