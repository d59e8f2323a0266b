"""Backfill task: ingests events that never arrived, every hour and after an outage of the hub."""

import logging
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError

from adapters import AdapterError
from hub.core.configuration import Source
from hub.core.events.backfill import (
    STILL_COMING,
    fill_gap,
    next_span,
    note_failure,
    note_filled,
    reason_not_listed,
)
from hub.core.hub import Hub
from hub.gateways.destination_client import list_records
from hub.process.background_task import BackgroundTask

log = logging.getLogger(__name__)


class BackfillTask(BackgroundTask):
    """Background task that backfills from providers' lists, one round at a time."""

    name = "listings"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def run_once(self) -> None:
        if self._hub.disk.is_full:  # what was never taken in waits for room, as webhooks do
            return
        for source in self._hub.configuration.sources.values():
            if source.enabled and reason_not_listed(self._hub, source) is None:
                try:
                    look_through(self._hub, source, now=datetime.now(UTC))
                except DBAPIError as error:
                    kind = type(error.orig).__name__
                    log.error("%s: the database does not answer (%s)", source.slug, kind)
                    return


def look_through(hub: Hub, source: Source, *, now: datetime) -> None:
    """Backfill one source if it is due and no other process does so.

    A list that cannot be read is noted, and read again next time.

    Raises:
        DBAPIError: the database is unavailable.
    """
    with hub.store.write() as connection:
        since = next_span(connection, source.slug, now=now)
    if since is None:
        return
    until = now - STILL_COMING
    try:
        gap = fill_gap(hub, source, list_records(hub, source, since, now), now=now, until=until)
    except AdapterError as error:
        log.error("%s: its list could not be read to its end: %s", source.slug, error)
        _note_failure(hub, source, f"its list says {error}", now)
        return
    except DBAPIError:
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: other sources continue
        name = type(error).__name__
        log.error("%s: reading its list failed (%s)", source.slug, name)
        _note_failure(hub, source, f"its list stops us ({name})", now)
        return
    with hub.store.write() as connection:
        note_filled(connection, source.slug, until=until)
    if gap.unreadable:
        log.error("%s: %d listed records could not be read", source.slug, gap.unreadable)
    if gap.new:
        log.warning("%s: %d events had never arrived and were backfilled", source.slug, gap.new)
        hub.waker.wake()


def _note_failure(hub: Hub, source: Source, said: str, now: datetime) -> None:
    with hub.store.write() as connection:
        note_failure(connection, source.slug, said, now=now)
