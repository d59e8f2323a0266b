"""Restore detection: a database restored from a backup lacks the calls made after the backup.

A watermark outside the database names the newest attempt. When that attempt is missing, calls that
may have been made since the backup are not silently repeated: their attempts are *unknown* from
the start, and are settled by evidence or by a person like all others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from adapters import Action, Effect
from hub.core.audit import record_action
from hub.core.expressions.templates import Parameters
from hub.core.ids import new_id
from hub.core.models import (
    IS_DUE,
    IS_OPEN,
    Attempt,
    Delivery,
    HubIdentity,
    Restoration,
    StoredEvent,
    database_now,
    insert_if_new,
)
from hub.core.monitoring import alerts

# How long events may come again, and how long a watermark is valid: no provider lists more.
LASTS = timedelta(days=30)
# How long the alert lasts: providers re-send for that long.
TOLD_FOR = timedelta(days=3)
# Tolerance for differences of clocks and for the order of commits.
SLACK = timedelta(minutes=5)


_MADE_ANEW = frozenset({"owner", "results", "cause"})
# Fields that have another value when an event comes again.
_ANEW = re.compile(r"\bevent\s*\.\s*(id|received_at)\b|\bcontact\s*\.\s*id\b")


@dataclass(frozen=True, slots=True)
class Watermark:
    """Watermark: the newest attempt that a process knew of."""

    attempt_id: UUID
    started_at: datetime


@dataclass(frozen=True, slots=True)
class LossWindow:
    """Time window whose calls may be missing from the database."""

    since: datetime
    noticed_at: datetime


@dataclass(frozen=True, slots=True)
class PossibleDuplicate:
    """Delivery that may have been made before, at `earliest_at` or later.

    `blind`: that call would have had another key or another content than today's, so that a
    look-up that finds nothing proves nothing.
    """

    earliest_at: datetime
    blind: bool


def newest_watermark(connection: Connection) -> Watermark | None:
    """Return the watermark of the newest attempt; None if there are no attempts."""
    row = connection.execute(_NEWEST).one_or_none()
    return Watermark(row.id, row.started_at) if row else None


_NEWEST = select(Attempt.id, Attempt.started_at).order_by(Attempt.id.desc()).limit(1)


def is_missing(connection: Connection, mark: Watermark, *, now: datetime) -> bool:
    """Return whether a watermark's attempt is missing.

    One older than `LASTS` proves nothing, nor one that retention may have deleted.
    """
    if mark.started_at < now - LASTS:
        return False
    found = connection.execute(select(Attempt.id).where(Attempt.id == mark.attempt_id))
    if found.first() is not None:
        return False
    deleted = connection.execute(select(HubIdentity.attempts_deleted_until)).scalar_one_or_none()
    return deleted is None or deleted < mark.attempt_id


def note_restored(
    connection: Connection,
    *,
    since: datetime,
    now: datetime,
    actor: str,
    mark: Watermark | None = None,
) -> bool:
    """Record that calls made after `since` may be missing; return False if it is known already.

    Of deliveries of events received until then, those due now may have been made already; those
    due later have not.
    """
    values = {"since": since, "noticed_at": now, "mark_id": mark.attempt_id if mark else None}
    noted = connection.execute(
        insert_if_new(connection, Restoration)
        .values(id=new_id(now), **values)
        .returning(Restoration.id)
    )
    if noted.first() is None:
        return False
    restored = select(StoredEvent.id).where(StoredEvent.received_at <= since)
    connection.execute(
        update(Delivery)
        .where(
            IS_DUE,
            Delivery.next_attempt_at <= database_now(),
            Delivery.event_id.in_(restored),
            Delivery.unsure_since.is_(None),
        )
        .values(unsure_since=since - SLACK)
    )
    # The ends of these attempts, and later attempts, are lost: their tokens prove little.
    connection.execute(update(Attempt).where(IS_OPEN).values(blind=True))
    from_when = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    said = (
        f"what was done after {from_when} is not in it: what may have been sent since is looked "
        "up, or waits for you (`hub unknown`); `hub backfill SOURCE` brings missing events"
    )
    alerts.begin(connection, alerts.RESTORED, "database", said, now=now)
    detail = {"since": from_when}
    record_action(
        connection, actor=actor, action="restored", subject="database", now=now, detail=detail
    )
    return True


def loss_windows(connection: Connection, *, now: datetime) -> list[LossWindow]:
    """Return the loss windows of restorations noticed within `LASTS`."""
    rows = connection.execute(
        select(Restoration.since, Restoration.noticed_at).where(
            Restoration.noticed_at > now - LASTS
        )
    )
    return [LossWindow(*row) for row in rows]


def end_restore_alert(connection: Connection, *, now: datetime) -> None:
    """End the alert `TOLD_FOR` after the last restoration: few events still come again."""
    if not alerts.subjects(connection, alerts.RESTORED, to_end=True):
        return
    latest = select(Restoration.id).where(Restoration.noticed_at > now - TOLD_FOR)
    if connection.execute(latest.limit(1)).first() is None:
        alerts.end(connection, alerts.RESTORED, "database", now=now)


def possible_duplicate(
    row: Row[Any],
    action: Action,
    parameters: Parameters,
    known: Sequence[LossWindow],
    *,
    frozen: bool,
    now: datetime,
) -> PossibleDuplicate | None:
    """Return the possible duplicate that a due delivery would be; None if it may be made.

    `row` has the delivery's `unsure_since` and `attempts`, and the event's times. A repeat under
    the same key is harmless as long as the provider remembers the key; an event that came again
    has a new key. `frozen`: the content is the same as an earlier attempt's.
    """
    if action.effect is Effect.NATURAL:
        return None
    keyed = action.effect is Effect.KEYED
    found = action.matched_by_content and (frozen or renders_identically(parameters))
    if row.unsure_since is not None:
        if _is_safe(action, now - row.unsure_since):
            return None
        return PossibleDuplicate(row.unsure_since, blind=not (keyed or found))
    for window in known:
        if not row.attempts and _may_have_come_before(row, window):
            earliest_at = max(window.since, min(row.event_occurred_at, row.event_received_at))
            return PossibleDuplicate(earliest_at - SLACK, blind=keyed or not found)
    return None


def renders_identically(parameters: Parameters) -> bool:
    """Return whether parameters render the same when their event comes again."""
    return not (parameters.names & _MADE_ANEW or _ANEW.search(str(parameters.tree)))


def _is_safe(action: Action, age: timedelta) -> bool:
    life_s = action.key_life_s
    return action.effect is Effect.KEYED and (life_s is None or age.total_seconds() < life_s)


def _may_have_come_before(row: Row[Any], window: LossWindow) -> bool:
    return bool(
        row.event_received_at > window.since and row.event_occurred_at <= window.noticed_at + SLACK
    )
