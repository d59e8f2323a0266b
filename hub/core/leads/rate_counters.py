"""Sliding-window rate counters in SQL: exact under concurrency, deleted when they expire.

Time is cut into slots, each a tenth of the rate's period; a window is all slots that it touches.
So no window of a rate's length ever exceeds the limit, and events are remembered for at most a
tenth of the period too long. Of the sender or text that is counted, only a digest is stored.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from hub.core.advisory_locks import advisory_locks
from hub.core.models import LimitCount

SLOTS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_BYTES = 16
# SQLite takes no condition of a thousand parts, and an e-mail may have as many recipients.
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Counter:
    """Rate counter: the kind of event (`what`), its subject (`whom`) and the window in seconds."""

    what: str
    whom: str
    per_s: float

    @property
    def key(self) -> bytes:
        """Return the digest that is the counter's key in the database."""
        return counter_key(f"{self.what}\0{self.per_s}\0{self.whom}")

    def slot_at(self, now: datetime) -> datetime:
        """Return the start of the slot that contains an instant."""
        return _EPOCH + (now - _EPOCH) // self._slot * self._slot

    def oldest(self, now: datetime) -> datetime:
        """Return the exclusive lower bound for the slot starts of a window that ends now."""
        return now - self._span - self._slot

    def ends_at(self, slot_at: datetime) -> datetime:
        """Return the time from which a slot is in no window any more."""
        return slot_at + self._slot + self._span

    @property
    def _span(self) -> timedelta:
        return timedelta(seconds=self.per_s)

    @property
    def _slot(self) -> timedelta:
        return self._span / SLOTS


def counter_key(words: str) -> bytes:
    """Return the digest of a text that must not be stored itself."""
    return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def increment(
    connection: Connection, watched: Collection[Counter], *, now: datetime, by: int = 1
) -> None:
    """Increment each counter; concurrent increments wait until this transaction ends."""
    rows = {one.key: _row(one, now, by) for one in watched}
    if not rows:
        return
    # A row lock is not enough: a transaction that counts in the next slot writes another row.
    advisory_locks(connection, rows)
    insert: Any = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    # Sorted, so that all transactions lock the rows in one order.
    statement = insert(LimitCount).values([rows[key] for key in sorted(rows)])
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key", "slot_at"], set_={"n": LimitCount.n + by}
        )
    )


def count_recent(
    connection: Connection, watched: Collection[Counter], *, now: datetime
) -> Mapping[Counter, int]:
    """Return the sum of each counter over its window that ends now."""
    sums: dict[bytes, int] = {}
    every = list(watched)
    for start in range(0, len(every), _AT_ONCE):
        windows = [
            and_(LimitCount.key == one.key, LimitCount.slot_at > one.oldest(now))
            for one in every[start : start + _AT_ONCE]
        ]
        found = connection.execute(
            select(LimitCount.key, func.sum(LimitCount.n))
            .where(or_(*windows))
            .group_by(LimitCount.key)
        )
        sums |= {key: int(n) for key, n in found}
    return {one: sums.get(one.key, 0) for one in watched}


def prune(connection: Connection, *, now: datetime) -> int:
    """Delete the expired slots; return their number."""
    return connection.execute(delete(LimitCount).where(LimitCount.ends_at <= now)).rowcount


def _row(one: Counter, now: datetime, n: int) -> dict[str, Any]:
    slot_at = one.slot_at(now)
    return {"key": one.key, "slot_at": slot_at, "n": n, "ends_at": one.ends_at(slot_at)}
