"""Held leads that nobody decided: people are told a week before they are deleted, day by day.

The leads that were put aside on one day (UTC) have one alert. It begins once that day is over, so
that it speaks of all of them, and they stay for at least `NOTICE` from then on, however late the
hub comes to tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, literal_column, select, update

from hub.core.audit import record_action
from hub.core.configuration import NOTICE
from hub.core.ids import FIRST_ID, first_id, instant_of
from hub.core.models import Alert, AuditEntry, EventState, StoredEvent
from hub.core.monitoring import alerts
from hub.core.retention.events import remove
from hub.core.retention.walk import Step, reached

ACTOR = "retention"
EXPIRE = "leads.expire"
DAY = timedelta(days=1)
# What an alert says that is over without a deletion: it counts as no notice of a later one.
WITHDRAWN = "none of them are about to be deleted any more"
_IS_HELD = StoredEvent.state == literal_column(f"'{EventState.HELD}'")


@dataclass(frozen=True, slots=True)
class HeldDay:
    """Day on which leads were put aside: its start, and its number of leads still undecided."""

    start_at: datetime
    count: int

    @property
    def subject(self) -> str:
        return f"leads put aside on {self.start_at:%Y-%m-%d}"


def tell_and_delete(
    connection: Connection, after: UUID, most: int, *, kept: timedelta | None, now: datetime
) -> Step:
    """Tell people of held leads that will go, and delete those whose time is over.

    These are up to `most` with an id after `after`. `kept` None: held leads stay for ever.
    """
    days = [] if kept is None else list(_days(connection, now - max(kept - NOTICE, timedelta())))
    seen: list[UUID] = []
    deleted = 0
    for day in days:
        if kept is not None and _tell(connection, day, kept, now) <= now and len(seen) < most:
            ids = _ids(connection, day, after, most - len(seen))
            seen += ids
            if ids:
                _record(connection, day, now)
                deleted += remove(connection, ids, now=now, held=True)
    _end_others(connection, {day.subject for day in days}, now)
    return Step(deleted, reached(seen, most))


def _days(connection: Connection, until: datetime) -> Iterator[HeldDay]:
    """Yield the days with held leads that ended before an instant, oldest first."""
    after = FIRST_ID
    while True:
        oldest = select(StoredEvent.id).where(_IS_HELD, StoredEvent.id >= after)
        found = connection.execute(oldest.order_by(StoredEvent.id).limit(1)).scalar_one_or_none()
        if found is None:
            return
        start = instant_of(found).replace(hour=0, minute=0, second=0, microsecond=0)
        if start + DAY > until:
            return
        after = first_id(start + DAY)
        within = (_IS_HELD, StoredEvent.id >= first_id(start), StoredEvent.id < after)
        count = connection.execute(select(func.count()).select_from(StoredEvent).where(*within))
        yield HeldDay(start, count.scalar_one())


def _tell(connection: Connection, day: HeldDay, kept: timedelta, now: datetime) -> datetime:
    """Begin or update the alert about a day's leads; return when they are to be deleted."""
    told = connection.execute(
        select(Alert.id, Alert.began_at, Alert.ended_at, Alert.message)
        .where(Alert.kind == alerts.HELD_LEADS_END, Alert.subject == day.subject)
        .where(Alert.message != WITHDRAWN)
        .order_by(Alert.id.desc())
        .limit(1)
    ).one_or_none()
    told_at = told.began_at if told else now
    gone_at: datetime = max(day.start_at + DAY + kept, told_at + NOTICE)
    sentence = (
        f"{day.count} held {'leads are' if day.count != 1 else 'lead is'} deleted after "
        f"{gone_at:%Y-%m-%d %H:%M} UTC unless somebody decides: `hub held` lists them, "
        "`hub release` and `hub discard` decide"
    )
    if told is None:
        alerts.begin(connection, alerts.HELD_LEADS_END, day.subject, sentence, now=now)
    elif told.ended_at is None and told.message != sentence:
        connection.execute(update(Alert).where(Alert.id == told.id).values(message=sentence))
    return gone_at


def _ids(connection: Connection, day: HeldDay, after: UUID, most: int) -> list[UUID]:
    oldest = (
        select(StoredEvent.id)
        .where(_IS_HELD, StoredEvent.id > max(after, first_id(day.start_at)))
        .where(StoredEvent.id < first_id(day.start_at + DAY))
        .order_by(StoredEvent.id)
        .limit(most)
    )
    return list(connection.execute(oldest).scalars())


def _record(connection: Connection, day: HeldDay, now: datetime) -> None:
    """Write one audit entry about a day's leads, with the first of them that is deleted."""
    said = select(AuditEntry.id).where(
        AuditEntry.subject == day.subject, AuditEntry.action == EXPIRE
    )
    if connection.execute(said.limit(1)).first() is None:
        record_action(
            connection,
            actor=ACTOR,
            action=EXPIRE,
            subject=day.subject,
            now=now,
            reason="nobody decided in time (`retention.held`)",
            detail={"leads": day.count},
        )


def _end_others(connection: Connection, subjects: set[str], now: datetime) -> None:
    """End the alerts of days without undecided leads, or whose leads stay for longer by now."""
    kind = alerts.HELD_LEADS_END
    for subject in alerts.subjects(connection, kind) - subjects:
        is_its = (Alert.kind == kind, Alert.subject == subject, Alert.ended_at.is_(None))
        connection.execute(update(Alert).where(*is_its).values(message=WITHDRAWN))
        alerts.end(connection, kind, subject, now=now)
