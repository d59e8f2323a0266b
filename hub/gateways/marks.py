"""The mark: the newest attempt, kept where a restored database does not take it along.

Redis may be empty at any time; then nothing is known, and nothing is concluded.
"""

from contextlib import suppress
from datetime import UTC, datetime

from redis import Redis

from hub.core.delivery.restored import Mark
from hub.core.ids import parse_id

MARK_KEY = "hub:newest-attempt"


def read_mark(redis: Redis) -> Mark | None:
    """Return the mark; None when there is none that can be read.

    Raises:
        RedisError: Redis does not answer.
    """
    kept = redis.get(MARK_KEY)
    words = kept.decode("ascii", "replace").split() if isinstance(kept, bytes) else []
    if len(words) != 2 or (attempt_id := parse_id(words[0])) is None:
        return None
    with suppress(ValueError, OverflowError):
        return Mark(attempt_id, datetime.fromisoformat(words[1]).astimezone(UTC))
    return None


def write_mark(redis: Redis, mark: Mark | None) -> None:
    """Keep a mark, or none.

    Raises:
        RedisError: Redis does not answer.
    """
    if mark is None:
        redis.delete(MARK_KEY)
    else:
        redis.set(MARK_KEY, f"{mark.attempt_id} {mark.started_at.isoformat()}")
