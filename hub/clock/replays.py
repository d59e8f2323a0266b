"""Replays of many kept going, beside the sweep: a little every moment, at each one's rate."""

import logging
import time
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from hub.clock.background_task import Beside
from hub.core.database_errors import Trouble, trouble_of
from hub.core.hub import Hub
from hub.core.replays.advance import let_go, running

EVERY_S = 0.5
# How long one replay may go on, batch after batch, before the others have their turn.
LONGEST_S = 2.0

log = logging.getLogger(__name__)


class Replays(Beside):
    """Lets replays go on as long as there are any, in a thread of its own."""

    name = "replays"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def _round(self) -> None:
        try:
            while let_all_go(self._hub):
                time.sleep(EVERY_S)
        except (DBAPIError, NoConnection) as error:
            log.error("replays wait: the database (%s)", type(error).__name__)


def let_all_go(hub: Hub) -> int:
    """Let of every replay go what its rate allows by now; return how many there are.

    Raises:
        DBAPIError, NoConnection: the database is gone, or has none left for us.
    """
    with hub.store.read() as connection:
        replay_ids = running(connection)
    for replay_id in replay_ids:
        ends_s = time.monotonic() + LONGEST_S
        try:
            while _let_some_go(hub, replay_id) and time.monotonic() < ends_s:
                pass
        except DBAPIError as error:
            if trouble_of(error) is Trouble.GONE:
                raise
            log.error("replay %s: a batch must wait (%s)", replay_id, type(error.orig).__name__)
    return len(replay_ids)


def _let_some_go(hub: Hub, replay_id: UUID) -> int:
    with hub.store.write() as connection:
        count = let_go(connection, hub, replay_id, now=datetime.now(UTC))
    if count:
        hub.waker.wake()
    return count
