"""The clock's count of the last hours, for the dashboard: it reads, and then writes a few rows."""

import logging
import time
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError

from hub.core.board.charts import count_hour, keep_hours, next_to_count
from hub.core.hub import Hub

EVERY_S = 15.0

log = logging.getLogger(__name__)


class Hours:
    """Counts some hours every few seconds."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._next_s = 0.0

    def look(self) -> None:
        """Count, if it is time again."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + EVERY_S
        try:
            self._count(datetime.now(UTC))
        except DBAPIError as error:
            log.warning("the hours are not counted (%s)", type(error.orig).__name__)

    def _count(self, now: datetime) -> None:
        configuration = self._hub.configuration
        with self._hub.store.read() as connection:
            counted = [
                count_hour(connection, configuration, start, now=now)
                for start in next_to_count(connection, now=now)
            ]
        with self._hub.store.write() as connection:
            keep_hours(connection, counted, now=now)
