"""Byte budget of a source: how much may be stored in a day of requests that nobody vouches for.

These are the traces of requests that did not verify, held leads, duplicates, and verified requests
of which no event is made, all together. Anybody can send them, as many as they like: a request that
was seen once can be sent again. The sum is in the row of the source, and changes in the transaction
that stores the request, so that it is exact for all threads and processes. A day is one of UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.core.models import SourceState, insert_if_new

MIB = 1024 * 1024
DAY_BYTES = 64 * MIB
# Size added for each row that is stored, beside its texts: its other columns and its indexes.
ROW_BYTES = 512

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """Use of a source's budget today: the bytes stored, and the number of requests that were not.

    `most_bytes` is the budget.
    """

    used_bytes: int
    over_budget: int
    most_bytes: int = DAY_BYTES

    def __str__(self) -> str:
        used, most = self.used_bytes / MIB, self.most_bytes // MIB
        shown = f"{used:.0f}" if used >= 1 or not self.used_bytes else "less than 1"
        return f"{shown} of {most} MiB"


def stored_bytes(request: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = ()) -> int:
    """Return the bytes that rows take in the database: a request's, and those of its events."""
    texts = [request["headers"], *(event["data"] for event in events)]
    return (
        len(request["body"] or b"")
        + len(request["url"].encode("utf-8", "replace"))
        + sum(len(orjson.dumps(one)) for one in texts)
        # An event has a key beside it.
        + ROW_BYTES * (1 + 2 * len(events))
    )


def take(connection: Connection, source: str, size: int, *, now: datetime) -> bool:
    """Take `size` bytes from the budget; return False, with nothing taken, if they do not fit.

    Concurrent ones of a source wait until this transaction ends; one that is rolled back takes
    nothing.
    """
    if size > DAY_BYTES:
        return False
    day_at = _day_of(now)
    is_today = _is_today(day_at)
    used = case((is_today, SourceState.budget_bytes), else_=0)
    insert: Any = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    taken = connection.execute(
        insert(SourceState)
        .values(source=source, budget_day_at=day_at, budget_bytes=size)
        .on_conflict_do_update(
            index_elements=[SourceState.source],
            set_={
                "budget_day_at": case((is_today, SourceState.budget_day_at), else_=day_at),
                "budget_bytes": used + size,
                "over_budget": case((is_today, SourceState.over_budget), else_=0),
            },
            where=used + size <= DAY_BYTES,
        )
        .returning(SourceState.source)
    )
    return taken.first() is not None


def note_over_budget(connection: Connection, source: str, *, now: datetime) -> None:
    """Count a request that is not stored because it did not fit."""
    day_at = _day_of(now)
    is_today = _is_today(day_at)
    connection.execute(insert_if_new(connection, SourceState).values(source=source))
    connection.execute(
        update(SourceState)
        .where(SourceState.source == source)
        .values(
            budget_day_at=case((is_today, SourceState.budget_day_at), else_=day_at),
            budget_bytes=case((is_today, SourceState.budget_bytes), else_=0),
            over_budget=case((is_today, SourceState.over_budget), else_=0) + 1,
        )
    )


def commit_without_disk(connection: Connection) -> None:
    """Let the commit of this transaction, which changes counters alone, not wait for the disk.

    A crash of PostgreSQL may lose what was counted in the second before it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.set_config("synchronous_commit", "off", True)))


def use_of(row: Row[Any] | None, *, now: datetime) -> BudgetUse:
    """Return the use of a source's budget, from its row in `source_states`; None: it has none."""
    day_at = _day_of(now)
    if row is None or row.budget_day_at is None or not day_at <= row.budget_day_at <= day_at + _DAY:
        return BudgetUse(0, 0)
    return BudgetUse(row.budget_bytes, row.over_budget)


def ends_at(now: datetime) -> datetime:
    """Return the time at which the budget of today ends, and that of tomorrow begins."""
    return _day_of(now) + _DAY


def _day_of(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _is_today(day_at: datetime) -> ColumnElement[bool]:
    """Return the condition that a row's day is this one.

    Around midnight another machine's clock may have begun the next day already: that one counts,
    or the two would begin it anew in turns.
    """
    begun = func.coalesce(SourceState.budget_day_at, datetime(1970, 1, 1, tzinfo=UTC))
    return (begun >= day_at) & (begun <= day_at + _DAY)
