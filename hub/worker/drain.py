"""Drain, run by the only RQ job: acquires lanes with due work, makes calls, records the outcomes.

One thread makes all decisions and runs all SQL; the others only make calls, and no transaction is
open during a call. Each lane has its own transactions, so that a failure in one lane stops no
other. Two drains at once are harmless: a lane has one holder.

A drain lasts one time slice. Near its end, `DrainDeadline` decides which lanes may still start
calls.
"""

import logging
import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from hub.core.delivery.lanes import Hold, hold_elsewhere
from hub.core.delivery.prepare import Claimed
from hub.core.delivery.restore_detection import LossWindow
from hub.gateways.database.wait import wait_for_store
from hub.gateways.restore_check import check_restored
from hub.worker import hang_timer
from hub.worker.batch import LaneBatch
from hub.worker.context import WorkerContext, current
from hub.worker.deadline import DrainDeadline
from hub.worker.isolation import PoisonIsolation
from hub.worker.lane import HeldLane
from hub.worker.leases import release_all, update_leases
from hub.worker.results import ResultQueue
from hub.worker.watchdog import StuckCallWatchdog

RENEW_EVERY_S = 5.0
# How often a busy drain polls for due work, in case a wake-up was lost.
LOOK_EVERY_S = 1.0
LINGER_S = 1.0
# A lane whose rate limit blocks it for longer is released, and acquired again by a later drain.
LONG_WAIT_S = 15.0
log = logging.getLogger(__name__)


def sync(name: str) -> None:
    """Run the due work of a destination (or `EVENTS`), and of all others that this worker serves.

    This is the only function that a worker runs as a job.

    Raises:
        PermissionError: this worker does not serve `name`.
    """
    worker = current()
    if name not in worker.serves:
        raise PermissionError("a job that is not the hub's was refused")
    drain(worker, name)
    worker.start_tasks()


def drain(worker: WorkerContext, name: str | None = None) -> None:
    """Run all due work that this worker serves; if the database is unavailable, wait for it.

    With no room on the disk nothing is run: the sweep's wake-ups come again every few seconds.

    `name`: the destination whose wake-up this is, or `EVENTS`.
    """
    if worker.hub.disk.is_spent:  # what is left is for the ledger of the calls that went out
        return
    if worker.projector:
        worker.projector.start_if_idle()
    try:
        with hang_timer.armed():
            Drain(worker, name).run()
    except DBAPIError as error:
        log.error("the database does not answer (%s)", type(error.orig).__name__)
        wait_for_store(worker.hub.store, worker.stop)


class Drain:
    """Run over all lanes with due work, for one time slice."""

    def __init__(self, worker: WorkerContext, name: str | None = None) -> None:
        self._worker = worker
        self._name = name
        self._lanes: dict[str, HeldLane] = {}
        self._results = ResultQueue(self._on_result)
        longest_call_s = max((g.destination.timeout_s for g in worker.clients.values()), default=0)
        self._deadline = DrainDeadline(worker.stop, longest_call_s=longest_call_s)
        self._isolation = PoisonIsolation()
        self._watchdog = StuckCallWatchdog()
        self._renew_at_s = time.monotonic() + RENEW_EVERY_S
        self._look_at_s = 0.0
        self._batch = LaneBatch(worker, self._results)

    def run(self) -> None:
        """Work until nothing is due or the slice is over; then release all lanes."""
        self._worker.on_due = lambda: self._results.put(None)
        self._batch.restored = self._check_restored()
        try:
            self._run()
        except BaseException:  # RQ's job time-out too: outcomes must be recorded
            self._watchdog.flush_and_exit(self._worker, self._lanes, self._results)
            raise
        release_all(self._worker, self._lanes)
        if self._batch.has_called:
            self._check_restored()
        if self._results.drain() or (self._deadline.over and not self._worker.stop.is_set()):
            self._hand_over(self._worker.serves)

    def _check_restored(self) -> Sequence[LossWindow]:
        return check_restored(self._worker.hub, self._worker.redis, self._worker.names.hub_id)

    def _run(self) -> None:
        self._tick(look=True)
        if not self._lanes and self._is_anothers():
            return
        while True:
            if self._busy():
                woken = self._wait()
                self._tick(look=woken or time.monotonic() >= self._look_at_s)
                continue
            if self._deadline.over:
                return
            self._worker.queues.clear(self._worker.serves)
            self._tick(look=True)
            if not self._busy() and not self._linger():
                return

    def _is_anothers(self) -> bool:
        """Return whether the wake-up is for a lane that another worker holds: then leave at once.

        The wake-up stays pending: the holder was notified of the work itself, and until it ends no
        further job comes here in vain. A holder that rests may run no drain now, and hears nothing:
        it is to get the job.
        """
        if self._name is None:
            return False
        with self._worker.hub.store.read() as connection:
            client = self._worker.clients.get(self._name)
            shards = client.destination.shards if client else 1
            hold = hold_elsewhere(connection, self._worker.holder, self._name, shards=shards)
        if hold is Hold.RESTS:
            self._worker.pass_on(self._name)
        return hold is not Hold.NONE

    def _linger(self) -> bool:
        """Wait briefly for a wake-up after calls were made; return whether one came.

        A running drain receives it sooner than a new job would start.
        """
        if not self._batch.has_called:
            return False
        return self._results.wait_one(LINGER_S) is True

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
        """Release lanes on which this drain will start no more calls, for other workers."""
        late = {
            name: lane
            for name, lane in self._lanes.items()
            if lane.is_empty
            and not lane.block  # its end is written with its release (`update_leases`)
            and (lane.leaving or self._watchdog.has_begun or self._deadline.too_late(lane, now_s))
        }
        if late:
            left = self._lanes.keys() - late.keys()
            destinations = {lane.destination.slug for lane in late.values()}
            release_all(self._worker, late)
            self._lanes = {name: self._lanes[name] for name in left}
            self._hand_over(destinations)

    def _hand_over(self, destinations: Collection[str]) -> None:
        """Wake workers for released lanes; a wake-up that is pending may have been used in vain."""
        self._worker.queues.clear(destinations)
        self._worker.hub.waker.wake(destinations)

    def _wait(self) -> bool:
        """Wait for a call's end, a wake-up or a periodic task; return whether it was a wake-up."""
        now_s = time.monotonic()
        until_s = [self._renew_at_s, self._look_at_s]
        for lane in self._lanes.values():
            wait_s = lane.limiter.wait_s(now_s) if lane.wants_more else 0.0
            if lane.finished or wait_s:
                until_s.append(now_s + wait_s)
        woken = self._results.wait_one(min(until_s) - now_s)
        if woken is None:
            return False
        return self._results.drain(None if woken else self._under_way) or woken

    def _under_way(self) -> bool:
        return any(lane.in_flight for lane in self._lanes.values())

    def _on_result(self, lane: HeldLane, claimed: Claimed, result: Any) -> None:
        lane.finish(claimed, *result)

    def _tick(self, *, look: bool) -> None:
        """Renew, acquire and release lanes; then record ended calls and claim deliveries on each.

        Raises:
            DBAPIError: the database is unavailable.
            CallStuck: see `StuckCallWatchdog.check`.
        """
        now_s = time.monotonic()
        hang_timer.feed()
        renew = now_s >= self._renew_at_s
        take = look and not self._deadline.over and not self._watchdog.has_begun
        update_leases(self._worker, self._lanes, renew=renew, take=take)
        if renew:
            self._renew_at_s = now_s + RENEW_EVERY_S
        if look:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._watchdog.check(self._lanes.values(), now_s)
        isolated = self._try_isolated(now_s)
        for lane in list(self._lanes.values()):
            room = lane.room(now_s) if isolated is None and self._may_claim(lane, now_s) else 0
            if lane.finished or room:
                self._batch.record_and_claim(lane, room)
        self._leave(now_s)

    def _may_claim(self, lane: HeldLane, now_s: float) -> bool:
        if self._watchdog.has_begun:
            return False
        return self._deadline.may_claim(lane, self._lanes.values(), now_s)

    def _try_isolated(self, now_s: float) -> HeldLane | None:
        """Start an isolated call if one is due; return its lane until the call has ended.

        None: no isolated call is due or running, so all lanes may start calls.
        """
        lanes = self._lanes.values()
        while lane := self._isolation.current_lane(lanes, now_s):
            if self._under_way():
                return lane
            for other in [one for one in lanes if one.finished]:
                # An unrecorded call would seem to have died too if the isolated call ends the
                # worker.
                self._batch.record_and_claim(other, 0)
            if any(one.finished for one in lanes):
                return lane
            if not self._may_claim(lane, now_s):
                return None
            self._isolation.started(now_s)
            self._batch.record_and_claim(lane, 1, suspects=True)
        return None
