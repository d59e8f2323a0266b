"""Noticing that the database was restored from a backup, before anything is done by it."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError

from hub.core.delivery.restored import LASTS, Mark, Window, is_lost, newest, note_restored, windows
from hub.core.hub import Hub
from hub.gateways.marks import read_mark, write_mark

log = logging.getLogger(__name__)


def watch(hub: Hub, redis: Redis) -> Sequence[Window]:
    """Compare the mark with the database, and set it anew; return what may be missing.

    The mark is read first: what was marked had been committed.

    Raises:
        DBAPIError: the database is gone.
    """
    mark: Mark | None = None
    with suppress(RedisError):
        mark = read_mark(redis)
    now = datetime.now(UTC)
    with hub.store.read() as connection:
        latest = newest(connection)
        lost = mark is not None and mark != latest and is_lost(connection, mark, now=now)
        known: Sequence[Window] = windows(connection, now=now)
    if lost and mark is not None:
        known = _note(hub, mark, latest, now)
    if mark != latest:
        with suppress(RedisError):
            write_mark(redis, latest)
    return known


def _note(hub: Hub, mark: Mark, latest: Mark | None, now: datetime) -> Sequence[Window]:
    since = min(latest.started_at, mark.started_at) if latest else now - LASTS
    with hub.store.write() as connection:
        new = note_restored(connection, since=since, now=now, actor="hub", mark=mark)
        known = windows(connection, now=now)
    if new:
        log.error("the database was restored from a backup: calls after %s are missing", since)
    return known
