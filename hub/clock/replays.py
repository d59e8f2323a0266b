"""Replays of many kept going, beside the sweep: a little every moment, at each one's rate."""

import logging
import time
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from hub.clock.background_task import BackgroundTask
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.hub import Hub
from hub.core.replays.advance import release_batch, running

EVERY_S = 0.5
# How long one replay may go on, batch after batch, before the others have their turn.
LONGEST_S = 2.0

log = logging.getLogger(__name__)


class ReplayTask(BackgroundTask):
    """Lets replays go on as long as there are any, in a thread of its own."""

    name = "replays"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def run_once(self) -> None:
        try:
            while release_all_batches(self._hub):
                time.sleep(EVERY_S)
        except (DBAPIError, NoConnection) as error:
            log.error("replays wait: the database (%s)", type(error).__name__)


def release_all_batches(hub: Hub) -> int:
    """Let of every replay go what its rate allows by now; return how many there are.

    Raises:
        DBAPIError, NoConnection: the database is gone, or has none left for us.
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
    with hub.store.write() as connection:
        count = release_batch(connection, hub, replay_id, now=datetime.now(UTC))
    if count:
        hub.waker.wake()
    return count
