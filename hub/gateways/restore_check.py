"""Restore detection: compares a watermark in Redis with the database before any delivery is made.

The watermark is the newest attempt. It is kept in Redis, which a restore of the database does not
roll back, under the hub's own key. Redis may be empty at any time; then nothing is concluded.

The release before had one key for all hubs. It is read once, by a database that had attempts when
it got its id: the watermark may be that of another hub on the same Redis.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

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
from hub.core.identity import end_inheritance, inherits_mark, key_prefix, other_hubs
from hub.core.ids import parse_id

# One for all hubs, of the release before.
SHARED_MARK_KEY = "hub:newest-attempt"
_MARK = "newest-attempt"
# More than a watermark takes: whoever can write to Redis could put a gigabyte there.
_MARK_MOST_BYTES = 200
log = logging.getLogger(__name__)


def mark_key(hub_id: UUID) -> str:
    """Return the key of a hub's watermark."""
    return f"{key_prefix(hub_id)}{_MARK}"


def read_mark(redis: Redis, key: str) -> Watermark | None:
    """Return the watermark under a key; None if it is absent or unreadable.

    Raises:
        RedisError: Redis does not answer.
    """
    kept = redis.getrange(key, 0, _MARK_MOST_BYTES)
    words = kept.decode("ascii", "replace").split() if isinstance(kept, bytes) else []
    if len(words) != 2 or (attempt_id := parse_id(words[0])) is None:
        return None
    with suppress(ValueError, OverflowError):
        return Watermark(attempt_id, datetime.fromisoformat(words[1]).astimezone(UTC))
    return None


def write_mark(redis: Redis, key: str, mark: Watermark | None) -> None:
    """Store the watermark under a key; delete it if `mark` is None.

    Raises:
        RedisError: Redis does not answer.
    """
    if mark is None:
        redis.delete(key)
    else:
        redis.set(key, f"{mark.attempt_id} {mark.started_at.isoformat()}")


def check_restored(hub: Hub, redis: Redis, hub_id: UUID) -> Sequence[LossWindow]:
    """Compare the watermark with the database, and update it; return the known loss windows.

    The watermark is read first: the attempt that it names was committed before.

    Raises:
        DBAPIError: the database is unavailable.
    """
    key, mark, inherited = mark_key(hub_id), None, False
    with suppress(RedisError):
        mark = read_mark(redis, key)
        if mark is None and _may_inherit(hub):
            mark = _shared_mark(hub, redis, hub_id)
            inherited = True
    now = datetime.now(UTC)
    with hub.store.read() as connection:
        latest = newest_watermark(connection)
        lost = mark is not None and mark != latest and is_missing(connection, mark, now=now)
        known: Sequence[LossWindow] = loss_windows(connection, now=now)
    if lost and mark is not None:
        known = _note(hub, mark, latest, now)
    with suppress(RedisError):
        if inherited or mark != latest:
            write_mark(redis, key, latest)
        if inherited:
            _end_inheritance(hub, redis, mark)
    return known


def _may_inherit(hub: Hub) -> bool:
    with hub.store.read() as connection:
        return inherits_mark(connection)


def _shared_mark(hub: Hub, redis: Redis, hub_id: UUID) -> Watermark | None:
    """Return the watermark of the release before, if it is this hub's.

    It is, if its attempt is in the database. If the attempt is missing, the database was restored,
    unless another hub was upgraded on this Redis: then the watermark may be that hub's, or a third
    one's.
    """
    mark = read_mark(redis, SHARED_MARK_KEY)
    if mark is None:
        return None
    with hub.store.read() as connection:
        missing = is_missing(connection, mark, now=datetime.now(UTC))
    if missing:
        keys = redis.scan_iter(match=f"hub:*:{_MARK}", count=1000)
        if other_hubs((key.decode("ascii", "replace") for key in keys), hub_id):
            return None
    return mark


def _end_inheritance(hub: Hub, redis: Redis, mark: Watermark | None) -> None:
    """Record that the watermark of the release before was read, and delete it if it was used."""
    with hub.store.write() as connection:
        end_inheritance(connection)
    if mark is not None:
        redis.delete(SHARED_MARK_KEY)


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
