"""The last 24 hours in figures: counted hour by hour by the clock, so that a page reads a few rows.

An hour's deliveries are those of its events, found by a range of ids. An hour is counted again
while it may still change: the present one and the one before each time, the others in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from hub.core.configuration import Configuration
from hub.core.ids import first_id
from hub.core.models import Delivery, DeliveryState, Hour, StoredEvent

HOURS = 24
KEPT = timedelta(days=8)
STEP = timedelta(hours=1)
AT_ONCE = 6
# How many of an hour's deliveries the time until done is read off: its newest.
MOST_MEASURED = 2000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HourFigures:
    """One hour: what came, what had become of it by `counted_at`, how long that took."""

    start_at: datetime
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    counted_at: datetime | None = None


def last_hours(connection: Connection, *, now: datetime) -> list[HourFigures]:
    """Return the last 24 hours, the oldest first; one that was not counted yet is all zeros."""
    first = _start_of(now) - (HOURS - 1) * STEP
    rows = connection.execute(select(Hour.__table__).where(Hour.start_at >= first))
    counted = {row.start_at: HourFigures(**row._mapping) for row in rows}
    starts = (first + n * STEP for n in range(HOURS))
    return [counted.get(start, HourFigures(start)) for start in starts]


def next_to_count(connection: Connection, *, now: datetime, most: int = AT_ONCE) -> list[datetime]:
    """Return which hours to count now: the last two, then the one counted longest ago.

    Hours that were never counted come before that, the newest first.
    """
    hours = last_hours(connection, now=now)
    starts = [one.start_at for one in hours]
    newest = starts[-2:]
    others = sorted(hours[:-2], key=lambda one: (one.counted_at or _NEVER, now - one.start_at))
    return [*newest, *(one.start_at for one in others[: max(0, most - len(newest))])]


def count_hour(
    connection: Connection, configuration: Configuration, start: datetime, *, now: datetime
) -> HourFigures:
    """Return the figures of one hour; it only reads."""
    accepted = select(func.count()).select_from(StoredEvent).where(_within(StoredEvent.id, start))
    rows = connection.execute(
        select(Delivery.state, func.count().label("total"))
        .where(_within(Delivery.id, start))
        .group_by(Delivery.state)
    )
    counts = {row.state: row.total for row in rows}
    durations = _durations_s(connection, configuration, start)
    return HourFigures(
        start,
        int(connection.execute(accepted).scalar_one()),
        counts.get(DeliveryState.SUCCEEDED, 0),
        counts.get(DeliveryState.FAILED, 0),
        percentile(durations, 0.5),
        percentile(durations, 0.95),
        now,
    )


def keep_hours(connection: Connection, hours: Sequence[HourFigures], *, now: datetime) -> None:
    """Write down what was counted, and forget what no page shows any more."""
    for one in hours:
        values = {name: getattr(one, name) for name in HourFigures.__slots__}
        connection.execute(delete(Hour).where(Hour.start_at == one.start_at))
        connection.execute(insert(Hour).values(**values))
    connection.execute(delete(Hour).where(Hour.start_at < now - KEPT))


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value that so large a share of all is not above; None of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None


def _durations_s(
    connection: Connection, configuration: Configuration, start: datetime
) -> list[float]:
    """Return how long deliveries took that were not meant to wait."""
    delayed = [route.name for route in configuration.routes.values() if route.delay_s]
    rows = connection.execute(
        select(Delivery.created_at, Delivery.finished_at)
        .where(
            _within(Delivery.id, start),
            Delivery.state == DeliveryState.SUCCEEDED,
            Delivery.finished_at.is_not(None),
            Delivery.route.not_in(delayed),
        )
        .order_by(Delivery.id.desc())
        .limit(MOST_MEASURED)
    )
    return [max(0.0, (end - begin).total_seconds()) for begin, end in rows if end]


def _within(column: Any, start: datetime) -> ColumnElement[bool]:
    return and_(column >= first_id(start), column < first_id(start + STEP))


def _start_of(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
