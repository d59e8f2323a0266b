"""Projections by the clock: where no worker serves `EVENTS`, or where the workers fall behind.

Otherwise workers fold and index all events, and the clock only looks how old the oldest one is.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from redis.exceptions import RedisError
from sqlalchemy import Connection

from hub.core.events.projections import oldest_unprojected, project_some
from hub.core.hub import Hub
from hub.core.ids import first_id
from hub.core.ports import EVENTS
from hub.core.search.indexer import index_some, oldest_unindexed
from hub.gateways.redis_queue import WakeUpQueues

# Older events are late: a worker needs a second or two.
LATE = timedelta(minutes=1)
# Time that a sweep spends on each projection at most.
HELPS_S = 1.0
AT_ONCE = {"postgresql": 200, "sqlite": 40}

log = logging.getLogger(__name__)


class ProjectionBackup:
    """Backup of the workers' projectors; knows since when events wait too long for them."""

    def __init__(self, hub: Hub, queues: WakeUpQueues) -> None:
        self._hub = hub
        self._queues = queues
        self._late_since_s: float | None = None
        self._has_warned = False

    def late_s(self) -> float:
        """Return for how many seconds every sweep has found late events; 0 if the last did not."""
        return 0.0 if self._late_since_s is None else time.monotonic() - self._late_since_s

    def fold(self) -> None:
        """Fold some events if no worker does, or if the oldest one is late."""
        now = datetime.now(UTC)
        oldest = self._oldest(oldest_unprojected)
        late = oldest is not None and oldest < first_id(now - LATE)
        self._note(late)
        if oldest is not None and (late or self._is_unserved()):
            self._run(
                lambda connection, most: project_some(connection, self._hub, most=most, now=now)
            )

    def index(self) -> None:
        """Index some events if no worker does, or if some are late: those before the index."""
        oldest = self._oldest(oldest_unindexed)
        if oldest is None:
            return
        if oldest < first_id(datetime.now(UTC) - LATE) or self._is_unserved():
            self._run(lambda connection, most: index_some(connection, most=most))

    def _oldest(self, find: Callable[[Connection], UUID | None]) -> UUID | None:
        with self._hub.store.read() as connection:
            return find(connection)

    def _is_unserved(self) -> bool:
        """Return whether no living worker serves `EVENTS`; without Redis nothing is known."""
        try:
            return not self._queues.served([EVENTS])
        except RedisError:
            return False

    def _run(self, project: Callable[[Connection, int], int]) -> None:
        most = AT_ONCE[self._hub.store.dialect]
        end_s = time.monotonic() + HELPS_S
        count = most
        while count == most and time.monotonic() < end_s:
            with self._hub.store.write(bulk=True) as connection:
                count = project(connection, most)

    def _note(self, late: bool) -> None:
        """Log that events are late, from the second sweep on: a released one is old, not late."""
        if late and self._late_since_s is not None and not self._has_warned:
            log.warning(
                "events wait for over %d s to be folded into contacts: the clock folds some too; "
                "start another `hub worker events`",
                LATE.total_seconds(),
            )
            self._has_warned = True
        if not late and self._has_warned:
            log.info("events are folded in time again")
            self._has_warned = False
        if not late:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = time.monotonic()
