"""Hourly statistics of the last 24 hours, counted by the clock so that a page reads a few rows.

The deliveries of an hour are those of its events, found by a range of ids: a delivery's id carries
its event's time of receipt (of a fetch or an escalation: the time of its creation). Hours are
counted repeatedly while they may still change: the current and the previous hour each time, the
others in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select

from hub.core.configuration import Configuration
from hub.core.ids import first_id
from hub.core.models import Delivery, DeliveryState, Hour, StoredEvent

HOURS = 24
KEPT = timedelta(days=8)
STEP = timedelta(hours=1)
AT_ONCE = 6
# Number of deliveries of an hour, the newest ones, from which durations are measured.
MOST_MEASURED = 2000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HourFigures:
    """Hour figures: accepted events, the states of deliveries at `counted_at`, and durations."""

    start_at: datetime
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    counted_at: datetime | None = None


def last_hours(connection: Connection, *, now: datetime) -> list[HourFigures]:
    """Return the figures of the last 24 hours, oldest first; uncounted hours are all zeros."""
    first = _start_of(now) - (HOURS - 1) * STEP
    rows = connection.execute(select(Hour.__table__).where(Hour.start_at >= first))
    counted = {row.start_at: HourFigures(**row._mapping) for row in rows}
    starts = (first + n * STEP for n in range(HOURS))
    return [counted.get(start, HourFigures(start)) for start in starts]


def next_to_count(connection: Connection, *, now: datetime, most: int = AT_ONCE) -> list[datetime]:
    """Return the starts of the hours to count now, up to `most`: the last two come first.

    Then come hours that were never counted, newest first, and then those counted longest ago.
    """
    hours = last_hours(connection, now=now)
    starts = [one.start_at for one in hours]
    newest = starts[-2:]
    others = sorted(hours[:-2], key=lambda one: (one.counted_at or _NEVER, now - one.start_at))
    return [*newest, *(one.start_at for one in others[: max(0, most - len(newest))])]


def count_hour(
    connection: Connection, configuration: Configuration, start: datetime, *, now: datetime
) -> HourFigures:
    """Return the figures of one hour, counted now; nothing is written."""
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
    """Store the figures of hours, and delete hours older than `KEPT`, which no page shows."""
    starts = [one.start_at for one in hours]
    connection.execute(
        delete(Hour).where(or_(Hour.start_at.in_(starts), Hour.start_at < now - KEPT))
    )
    if hours:
        rows = [{name: getattr(one, name) for name in HourFigures.__slots__} for one in hours]
        connection.execute(insert(Hour), rows)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value at a share (0 to 1) of the sorted values; None if there are none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None


def _durations_s(
    connection: Connection, configuration: Configuration, start: datetime
) -> list[float]:
    """Return the seconds that succeeded deliveries of an hour took, without delayed routes."""
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
