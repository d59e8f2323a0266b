"""Replay task: releases batches of running replays beside the sweep, at each replay's rate."""

import logging
import time
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.hub import Hub
from hub.core.replays.advance import AT_ONCE, release_batch, running
from hub.process.background_task import BackgroundTask

# How often a round of releases begins at most.
EVERY_S = 0.5
# How long one replay may release batches before the other replays get their turn.
LONGEST_S = 2.0

log = logging.getLogger(__name__)


class ReplayTask(BackgroundTask):
    """Background task that releases batches as long as replays are running."""

    name = "replays"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def run_once(self) -> None:
        try:
            begin_s = time.monotonic()
            while release_all_batches(self._hub):
                time.sleep(max(0.0, begin_s + EVERY_S - time.monotonic()))
                begin_s = time.monotonic()
        except (DBAPIError, NoConnection) as error:
            log.error("replays wait: the database (%s)", type(error).__name__)


def release_all_batches(hub: Hub) -> int:
    """Release from every running replay as many items as its rate allows; return their number.

    The number is that of running replays.

    Raises:
        DBAPIError: the database is unavailable.
        NoConnection: the connection pool has no free connection.
    """
    with hub.store.read() as connection:
        replay_ids = running(connection)
    for replay_id in replay_ids:
        ends_s = time.monotonic() + LONGEST_S
        try:
            while _release_some(hub, replay_id) and time.monotonic() < ends_s:
                pass
        except DBAPIError as error:
            if classify(error) is DatabaseErrorKind.UNAVAILABLE:
                raise
            log.error("replay %s: a batch must wait (%s)", replay_id, type(error.orig).__name__)
    return len(replay_ids)


def _release_some(hub: Hub, replay_id: UUID) -> int:
    most = hub.store.step(AT_ONCE)
    with hub.store.write(bulk=True) as connection:
        count = release_batch(connection, hub, replay_id, now=datetime.now(UTC), at_once=most)
    if count:
        hub.waker.wake()
    return count
