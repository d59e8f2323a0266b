"""Projector: folds stored events into contacts and indexes them for search, beside the drain.

It has a thread of its own, which sleeps until a wake-up, lets some events gather, and then works in
short steps with rests between them: the worker's calls need the same processor. Workers share the
work without waiting for each other, since one at a time folds.
"""

import logging
import time
from datetime import UTC, datetime
from threading import Event, Lock
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from hub.core.events.projections import oldest_unprojected, project_some
from hub.core.hub import Hub
from hub.core.search.indexer import index_some, oldest_unindexed
from hub.gateways.logs import place_of
from hub.process.background_task import BackgroundTask

# How long events gather after a wake-up: a set of them costs little more than one.
GATHER_S = 0.5
# Events of one transaction, on PostgreSQL.
AT_ONCE = 200
# A step is followed by a rest of so many times its length.
RESTS = 3.0
AFTER_ERROR_S = 5.0
OTHERS = -1

log = logging.getLogger(__name__)


class Projector(BackgroundTask):
    """Background task that runs projections while there are events to project.

    `start_if_idle` is its wake-up: one that comes during a round begins the next round.
    """

    name = "projector"

    def __init__(self, hub: Hub, stop: Event) -> None:
        self._hub = hub
        self._stop = stop
        self._woken = Event()
        self._starting = Lock()
        # The oldest event of the step before, in a round.
        self._tried: UUID | None = None

    def start_if_idle(self) -> None:
        self._woken.set()
        with self._starting:  # the listener of wake-ups and the main loop both come here
            try:
                super().start_if_idle()
            except RuntimeError:  # no thread can be started now: the next wake-up tries again
                log.warning("events are not folded yet: no thread can be started")

    def run_once(self) -> None:
        """Run rounds, one for each wake-up, until a stop is requested."""
        failing = ""
        while not self._stop.is_set():
            self._woken.wait()
            self._woken.clear()
            self._stop.wait(GATHER_S)
            trouble = self._trouble_of_round()
            if trouble and trouble != failing:
                log.error("events are not folded: %s", trouble)
            failing = trouble
            if trouble:
                self._stop.wait(AFTER_ERROR_S)

    def _trouble_of_round(self) -> str:
        """Run a round; return a sentence about its failure, or nothing."""
        try:
            self.project_all()
        except DBAPIError as error:
            return f"the database does not answer ({type(error.orig).__name__})"
        except Exception as error:  # noqa: BLE001 - the last resort: the thread must go on
            return f"{type(error).__name__} at {place_of(error)}"
        return ""

    def project_all(self) -> None:
        """Project and index all events that are pending, unless another process does so.

        Raises:
            DBAPIError: the database is unavailable.
        """
        most, self._tried = self._hub.store.step(AT_ONCE), None
        for step in (self._fold, self._index):
            count = most
            while count == most and not self._stop.is_set():
                begin_s = time.monotonic()
                count = step(most)
                self._stop.wait(RESTS * (time.monotonic() - begin_s))
            if count == OTHERS:
                return

    def _fold(self, most: int) -> int:
        """Fold up to `most` events; return how many, `OTHERS` if another process does so."""
        with self._hub.store.read() as connection:
            oldest = oldest_unprojected(connection)
        # Another transaction may have locked it: then the next wake-up tries again.
        if oldest is None or oldest == self._tried:
            return 0
        self._tried = oldest
        with self._hub.store.write(bulk=True) as connection:
            count = project_some(connection, self._hub, most=most, now=datetime.now(UTC))
        return count or OTHERS

    def _index(self, most: int) -> int:
        """Index up to `most` events; return how many."""
        with self._hub.store.read() as connection:
            if oldest_unindexed(connection) is None:
                return 0
        with self._hub.store.write(bulk=True) as connection:
            return index_some(connection, most=most)
