"""Watchdog for calls that exceed their timeout: flushes results, releases leases, exits the worker.

A thread cannot be killed. Its slot would be lost for ever, and a drain that waited for its end
would hang. So the worker lets its other calls end, records their outcomes and exits with an error
log; its supervisor (`hub up`, systemd, a platform) restarts it. The next holder of the lane finds
the call open, and counts it as one during which its worker died.
"""

import logging
import os
import time
from collections.abc import Collection, Iterable

from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from hub.worker import hang_timer
from hub.worker.context import WorkerContext
from hub.worker.lane import MARGIN_S, HeldLane
from hub.worker.leases import release_all
from hub.worker.results import ResultQueue

RESCUE_S = 20.0
STEP_S = 5.0
# How long the other calls may take to end: most take no longer than the default `timeout`.
LONGEST_S = 30.0
HELD_UP_S = 10.0
EXIT_CODE = os.EX_SOFTWARE

log = logging.getLogger(__name__)


class CallStuck(Exception):
    """Call that has exceeded the longest possible duration: this process must exit."""


class StuckCallWatchdog:
    """Watchdog of one drain: detects stuck calls, and decides when this process exits."""

    def __init__(self) -> None:
        self._looked_at_s = self._trusted_at_s = time.monotonic()
        self._until_s: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the exit has begun: no call is started any more."""
        return self._until_s is not None

    def check(self, lanes: Collection[HeldLane], now_s: float) -> None:
        """Check for stuck calls; call this every few seconds.

        If this process itself was suspended (it or its machine was frozen), calls get extra time.

        Raises:
            CallStuck: a call is stuck, and no other call is worth waiting for any more.
        """
        if now_s - self._looked_at_s > HELD_UP_S:
            self._trusted_at_s = now_s + MARGIN_S
        self._looked_at_s = now_s
        if now_s < self._trusted_at_s:
            return
        if not self.has_begun:
            self._start_exit(lanes, now_s)
        elif not any(lane.stuck(now_s) for lane in lanes):
            log.warning("the call has ended after all: this worker goes on")
            self._until_s = None
        if self.has_begun and self.patience_s(lanes, now_s) <= 0:
            raise CallStuck

    def patience_s(self, lanes: Iterable[HeldLane], now_s: float) -> float:
        """Return the seconds worth waiting for the calls in flight; 0 if there are none."""
        longest_s = max((lane.longest_left_s(now_s) for lane in lanes), default=0.0)
        return longest_s if self._until_s is None else min(longest_s, self._until_s - now_s)

    def flush_and_exit(
        self, worker: WorkerContext, held: dict[str, HeldLane], ends: ResultQueue
    ) -> None:
        """Record all results, waiting for the database if necessary, and release the lanes.

        If a call is still in flight then, exit the process: the call may never end.

        Raises:
            DBAPIError: the database stayed unavailable for `RESCUE_S`, and no call is in flight.
        """
        lanes = list(held.values())
        try:
            ends.drain()
            self._wait_for(lanes, ends)
            _record_finished(worker, held, ends)
        finally:
            left = [lane for lane in lanes if lane.in_flight]
            if left:
                exit_process(left)

    def _wait_for(self, lanes: Collection[HeldLane], ends: ResultQueue) -> None:
        """Wait for calls to end, and for `MARGIN_S` also for calls that seem stuck.

        This thread may have been delayed, for example by the database, and not the calls.
        """
        now_s = time.monotonic()
        until_s = now_s + max(self.patience_s(lanes, now_s), 0 if self.has_begun else MARGIN_S)
        while any(lane.in_flight for lane in lanes) and (left_s := until_s - time.monotonic()) > 0:
            hang_timer.feed()
            ends.wait_one(min(left_s, STEP_S))

    def _start_exit(self, lanes: Iterable[HeldLane], now_s: float) -> None:
        for lane in lanes:
            for delivery_id in lane.stuck(now_s):
                self._until_s = now_s + LONGEST_S
                log.error(
                    "delivery %s: its call to %s has lasted longer than its timeout allows and "
                    "cannot be stopped: this worker lets its other calls end, and then ends itself",
                    delivery_id,
                    lane.destination.slug,
                )


def _record_finished(worker: WorkerContext, held: dict[str, HeldLane], ends: ResultQueue) -> None:
    def write() -> None:
        hang_timer.feed()
        ends.drain()  # results that have arrived since the last try
        release_all(worker, held)

    waiting = Retrying(
        retry=retry_if_exception_type(DBAPIError),
        wait=wait_random_exponential(max=2),
        stop=stop_after_delay(RESCUE_S),
        reraise=True,
    )
    waiting(write)


def exit_process(left: Collection[HeldLane]) -> None:
    """Exit this process immediately; a normal exit would wait for threads that never end."""
    log.critical(
        "this worker ends itself: calls to %s never come back; it must be started again",
        ", ".join(sorted(lane.destination.slug for lane in left)),
    )
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_CODE)
