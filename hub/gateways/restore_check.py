"""Restore detection: compares a watermark in Redis with the database before any delivery is made.

The watermark is the newest attempt. It is kept in Redis, which a restore of the database does not
roll back. Redis may be empty at any time; then nothing is concluded.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError

from hub.core.delivery.restore_detection import (
    LASTS,
    LossWindow,
    Watermark,
    is_missing,
    loss_windows,
    newest_watermark,
    note_restored,
)
from hub.core.hub import Hub
from hub.core.ids import parse_id

MARK_KEY = "hub:newest-attempt"
log = logging.getLogger(__name__)


def read_mark(redis: Redis) -> Watermark | None:
    """Return the watermark; None if it is absent or unreadable.

    Raises:
        RedisError: Redis does not answer.
    """
    kept = redis.get(MARK_KEY)
    words = kept.decode("ascii", "replace").split() if isinstance(kept, bytes) else []
    if len(words) != 2 or (attempt_id := parse_id(words[0])) is None:
        return None
    with suppress(ValueError, OverflowError):
        return Watermark(attempt_id, datetime.fromisoformat(words[1]).astimezone(UTC))
    return None


def write_mark(redis: Redis, mark: Watermark | None) -> None:
    """Store the watermark; delete it if `mark` is None.

    Raises:
        RedisError: Redis does not answer.
    """
    if mark is None:
        redis.delete(MARK_KEY)
    else:
        redis.set(MARK_KEY, f"{mark.attempt_id} {mark.started_at.isoformat()}")


def check_restored(hub: Hub, redis: Redis) -> Sequence[LossWindow]:
    """Compare the watermark with the database, and update it; return the known loss windows.

    The watermark is read first: the attempt that it names was committed before.

    Raises:
        DBAPIError: the database is unavailable.
    """
    mark: Watermark | None = None
    with suppress(RedisError):
        mark = read_mark(redis)
    now = datetime.now(UTC)
    with hub.store.read() as connection:
        latest = newest_watermark(connection)
        lost = mark is not None and mark != latest and is_missing(connection, mark, now=now)
        known: Sequence[LossWindow] = loss_windows(connection, now=now)
    if lost and mark is not None:
        known = _note(hub, mark, latest, now)
    if mark != latest:
        with suppress(RedisError):
            write_mark(redis, latest)
    return known


def _note(
    hub: Hub, mark: Watermark, latest: Watermark | None, now: datetime
) -> Sequence[LossWindow]:
    since = min(latest.started_at, mark.started_at) if latest else now - LASTS
    with hub.store.write() as connection:
        new = note_restored(connection, since=since, now=now, actor="hub", mark=mark)
        known = loss_windows(connection, now=now)
    if new:
        log.error("the database was restored from a backup: calls after %s are missing", since)
    return known
