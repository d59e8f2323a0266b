"""Batches of a lane: one transaction records ended calls and claims deliveries; calls follow."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from adapters import Attachment, Outcome, Verdict
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.claim import DueAnswer, ask_due, claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.prepare import Claimed
from hub.core.delivery.record import Recording
from hub.core.delivery.restore_detection import LossWindow
from hub.core.events.enrichment import settle_and_complete
from hub.core.leads.owner_context import OwnerContext
from hub.core.leads.send_limits import limits_of
from hub.core.rehydrate import attachments_of
from hub.worker import hang_timer
from hub.worker.context import WorkerContext
from hub.worker.hang_timer import feed
from hub.worker.lane import CircuitState, HeldLane, perform
from hub.worker.results import ResultQueue

log = logging.getLogger(__name__)


def claim_for(
    worker: WorkerContext,
    connection: Connection,
    lane: HeldLane,
    room: int,
    restored: Sequence[LossWindow],
    *,
    due: DueAnswer | None,
    suspects: bool = False,
) -> tuple[list[Claimed], bool | None]:
    """Claim up to `room` due deliveries of a lane; none if the lane is no longer workable.

    `suspects`: claim only suspected poison deliveries; without it, only the others.

    Return the claimed deliveries, and whether more may be due. `due` None: it was not asked for;
    then there are none, and whether more may be due is not known (None).
    """
    if due is None:
        return [], None
    hub, now = worker.hub, datetime.now(UTC)
    contexts = RenderContexts(
        connection,
        site=hub.router.site,
        inbound=hub.inbound,
        now=now,
        owners=OwnerContext(connection, hub.configuration, public_url=hub.public_url, now=now),
    )
    actions = lane.client.adapter.actions
    return claim(
        connection,
        lane.lease,
        slots=room,
        router=hub.router,
        contexts=contexts,
        now=now,
        sandbox=lane.destination.sandbox,
        actions=actions,
        restored=restored,
        caps=limits_of(connection, hub.configuration, lane.destination, actions, now=now),
        suspects=suspects,
        on_row=feed,
        due=due,
    )


class LaneBatch:
    """Batch processing of a drain's lanes, one transaction at a time."""

    def __init__(self, worker: WorkerContext, ends: ResultQueue) -> None:
        self._worker = worker
        self._results = ends
        # Loss windows of a database restore (`hub.core.delivery.restore_detection`).
        self.restored: Sequence[LossWindow] = ()
        self.has_called = False

    def record_and_claim(self, lane: HeldLane, room: int, *, suspects: bool = False) -> None:
        """Record ended calls of a lane and claim deliveries in one transaction; start their calls.

        Raises:
            DBAPIError: the database is unavailable.
        """
        now_s = time.monotonic()
        hang_timer.feed()
        try:
            with self._worker.hub.store.write_pipelined() as connection:
                recording = self._record(connection, lane)
                # Asked for at once with the recording, which may change what is due.
                due = ask_due(connection, lane.lease, room, suspects=suspects) if room else None
                late, made = self._settle(connection, recording)
                if due and (late or made):
                    due = ask_due(connection, lane.lease, room, suspects=suspects)
                claimed, more = claim_for(
                    self._worker, connection, lane, room, self.restored, due=due, suspects=suspects
                )
        except DBAPIError as error:
            if classify(error) is DatabaseErrorKind.UNAVAILABLE:
                raise
            self._back_off(lane, error)
            return
        self._log(lane, late)
        has_fetched, lane.finished = lane.has_fetched, []
        if has_fetched:
            self._worker.hub.waker.wake()
        if suspects:
            lane.suspects = bool(claimed)
        elif more is not None:
            lane.maybe_due = more
        lane.limiter.start(now_s, len(claimed))
        for one in claimed:
            self._start(lane, one, now_s)

    def _record(self, connection: Connection, lane: HeldLane) -> Recording:
        return Recording(connection, lane.finished)

    def _settle(self, connection: Connection, recording: Recording) -> tuple[int, int]:
        return settle_and_complete(connection, self._worker.hub, recording, now=datetime.now(UTC))

    def _start(self, lane: HeldLane, claimed: Claimed, now_s: float) -> None:
        self.has_called = True
        try:
            self._worker.pool.submit(self._call, lane, claimed, now_s)
        except RuntimeError:  # no thread can be started
            none_left = Outcome(Verdict.NOT_PROCESSED, "no thread for the call", called=False)
            lane.finish(claimed, none_left, None)
            return
        lane.in_flight[claimed.delivery_id] = now_s

    def _call(self, lane: HeldLane, claimed: Claimed, now_s: float) -> None:
        """Make a call and enqueue its outcome. Runs in a thread of the pool."""
        ended = perform(lane.client, claimed, now_s, self._read_files)
        self._results.put((lane, claimed, ended))

    def _read_files(self, delivery_id: UUID) -> Sequence[Attachment]:
        hub = self._worker.hub
        # One at a time: a body may have 30 MB, and the threads share few connections.
        with self._worker.reading_files, hub.store.read() as connection:
            return attachments_of(connection, hub.inbound, delivery_id)

    def _back_off(self, lane: HeldLane, error: DBAPIError) -> None:
        """Pause a lane after its transaction failed; record its ended calls on their own."""
        name = type(error.orig).__name__
        lane.maybe_due = lane.suspects = False
        if classify(error) is DatabaseErrorKind.RETRYABLE:
            log.warning("%s: the database was busy (%s); retrying shortly", lane.lease, name)
            return
        with self._worker.hub.store.write() as connection:
            late, _ = self._settle(connection, self._record(connection, lane))
            self._log(lane, late)
        lane.finished = []
        lane.block = CircuitState(30, f"has work that the database cannot take ({name})", 0)

    def _log(self, lane: HeldLane, late: int) -> None:
        if late:
            log.warning(
                "%s: %d calls ended after another worker took the lane over",
                lane.destination.slug,
                late,
            )
            return
        if not lane.finished:
            return
        for one in lane.finished:
            if one.transition.error is not None:
                state, verdict = one.transition.delivery, one.outcome.verdict
                log.warning("delivery %s %s: %s", one.delivery_id, state, verdict)
        states = Counter(one.transition.delivery for one in lane.finished)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        log.info("calls of %s ended: %s", lane.destination.slug, counts)
