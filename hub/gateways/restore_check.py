"""Noticing that the database was restored from a backup, before anything is done by it.

The mark: the newest attempt, kept where a restored database does not take it along.

Redis may be empty at any time; then nothing is known, and nothing is concluded.
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


def read_mark(redis: Redis) -> Watermark | None:
    """Return the mark; None when there is none that can be read.

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
    """Keep a mark, or none.

    Raises:
        RedisError: Redis does not answer.
    """
    if mark is None:
        redis.delete(MARK_KEY)
    else:
        redis.set(MARK_KEY, f"{mark.attempt_id} {mark.started_at.isoformat()}")


log = logging.getLogger(__name__)


def check_restored(hub: Hub, redis: Redis) -> Sequence[LossWindow]:
    """Compare the mark with the database, and set it anew; return what may be missing.

    The mark is read first: what was marked had been committed.

    Raises:
        DBAPIError: the database is gone.
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
