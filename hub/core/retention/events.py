"""Deletion of events, each with all that hangs on it; only its key stays, and finds duplicates."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Executable,
    Row,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from hub.core.delivery.restore_detection import LASTS
from hub.core.ids import FIRST_ID, first_id
from hub.core.models import (
    Acknowledgement,
    Assignment,
    Attempt,
    Delivery,
    EventCopy,
    HubIdentity,
    LeadLink,
    LeadNotification,
    StoredEvent,
    StoredRequest,
)
from hub.core.pipeline import pipeline_of
from hub.core.retention.by_ids import ByIds, Deletions, is_one_of
from hub.core.retention.protection import IS_HELD, IS_SETTLED, is_needed
from hub.core.retention.walk import Step, reached
from hub.core.search.indexer import delete_words

# More requests of one event are never deleted at once. One that came more often goes later.
MOST_REPEATS = 500

# Tables whose rows hang on an event, those first that others refer to.
_HANGING = (LeadNotification, Assignment, Acknowledgement, LeadLink, Delivery, EventCopy)
_IS_ANOTHERS = exists().where(StoredEvent.request_id == StoredRequest.id)


def delete_events(
    connection: Connection, after: UUID, most: int, *, before: UUID, now: datetime
) -> Step:
    """Delete the events among the next `most` after an id that nobody needs; `before` is the end.

    An event that an edited copy was made of stays as long as the copy.
    """
    within = {"after": after, "before": before, "most": most}
    seen = [row.id for row in pipeline_of(connection).add(_WINDOW, within).all()]
    if not seen:
        return Step(0)
    is_seen = is_one_of(connection, StoredEvent.id, seen)
    free = select(StoredEvent.id).where(is_seen, ~is_needed(connection))
    ids = connection.execute(free).scalars().all()
    return Step(remove(connection, ids, now=now), reached(seen, most))


def remove(
    connection: Connection, ids: Sequence[UUID], *, now: datetime, held: bool = False
) -> int:
    """Delete those of these events that are not locked; return their number.

    `held`: held leads; without it, all others. Each event is looked at once more under its lock,
    with its deliveries: what a person replays at this moment stays.
    """
    if not ids:
        return 0
    events = (_LOCK_HELD if held else _LOCK).add(connection, ids).all()
    if not events:
        return 0
    locked, counted = (
        statement.add(connection, [row.id for row in events])
        for statement in (_LOCK_DELIVERIES, _COUNT_DELIVERIES)
    )
    settled = locked.all()
    # Whatever locks or changes a delivery keeps its event, also one that was made just now.
    found = Counter(one.event_id for one in settled)
    deliveries = {row.event_id: row.count for row in counted.all()}
    free = [row for row in events if deliveries.get(row.id, 0) == found[row.id]]
    for row in free:
        if row.repeats >= MOST_REPEATS:
            _delete_repeats(connection, row.id)
            break
    going = _few_repeats(free)
    if going:
        event_ids = {row.id for row in going}
        mine = [one for one in settled if one.event_id in event_ids]
        _note_newest(connection, [one.last_id for one in mine if one.last_id], now)
        delivery_ids, request_ids = [one.id for one in mine], [row.request_id for row in going]
        _delete(connection, sorted(event_ids), delivery_ids, request_ids)
    return len(going)


def _few_repeats(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return those of the events that have fewer than `MOST_REPEATS` repeats together."""
    few, repeats = [], 0
    for row in rows:
        if repeats + row.repeats < MOST_REPEATS:
            few.append(row)
            repeats += row.repeats
    return few


def _delete(
    connection: Connection,
    event_ids: Sequence[UUID],
    delivery_ids: Sequence[UUID],
    request_ids: Sequence[UUID],
) -> None:
    delete_words(connection, event_ids)
    _EVENTS.add(connection, events=event_ids, deliveries=delivery_ids)
    _REQUESTS.add(connection, events=event_ids, requests=request_ids)


def _note_newest(connection: Connection, attempt_ids: Sequence[UUID], now: datetime) -> None:
    """Note the newest of these attempts, unless no watermark that counts can name it.

    Otherwise its absence would look like that of a call that a restored backup has lost.
    """
    newest = max(attempt_ids, default=FIRST_ID)
    if newest < first_id(now - LASTS):
        return
    until = HubIdentity.attempts_deleted_until
    connection.execute(
        update(HubIdentity)
        .where(or_(until.is_(None), until < newest))
        .values(attempts_deleted_until=newest)
    )


def _delete_repeats(connection: Connection, event_id: UUID) -> None:
    """Delete some of the requests that repeat an event: all of them would be too many at once."""
    repeats = select(StoredRequest.id).where(StoredRequest.event_id == event_id, ~_IS_ANOTHERS)
    some = connection.execute(repeats.limit(MOST_REPEATS)).scalars().all()
    connection.execute(delete(StoredRequest).where(StoredRequest.id.in_(some)))


def _lock(condition: Any) -> Callable[[Any], Executable]:
    """Return what builds the lock on events that have no copy, beside how often they came."""
    repeats = select(StoredRequest.id).where(StoredRequest.event_id == StoredEvent.id)
    most = repeats.correlate(StoredEvent).limit(MOST_REPEATS + 1).subquery()
    copies = exists().where(EventCopy.original_id == StoredEvent.id)
    return lambda among: (
        select(
            StoredEvent.id,
            StoredEvent.request_id,
            select(func.count()).select_from(most).scalar_subquery().label("repeats"),
        )
        .where(among(StoredEvent.id), condition, ~copies)
        .order_by(StoredEvent.id)
        .with_for_update(skip_locked=True, of=StoredEvent)
    )


_WINDOW = (
    select(StoredEvent.id)
    .where(StoredEvent.id > bindparam("after"), StoredEvent.id < bindparam("before"))
    .order_by(StoredEvent.id)
    .limit(bindparam("most"))
)
_LOCK, _LOCK_HELD = ByIds(_lock(~IS_HELD & StoredEvent.folded)), ByIds(_lock(IS_HELD))
_COUNT_DELIVERIES = ByIds(
    lambda among: (
        select(Delivery.event_id, func.count().label("count"))
        .where(among(Delivery.event_id))
        .group_by(Delivery.event_id)
    )
)
_LOCK_DELIVERIES = ByIds(
    lambda among: (
        select(
            Delivery.id,
            Delivery.event_id,
            select(Attempt.id)
            .where(Attempt.delivery_id == Delivery.id)
            .order_by(Attempt.n.desc())
            .limit(1)
            .scalar_subquery()
            .label("last_id"),
        )
        .where(among(Delivery.event_id), IS_SETTLED)
        .order_by(Delivery.id)
        .with_for_update(skip_locked=True, of=Delivery)
    )
)
_EVENTS = Deletions(
    (Attempt.delivery_id, "deliveries"),
    *((table.event_id, "events") for table in _HANGING),
    (StoredEvent.id, "events"),
)
_REQUESTS = Deletions(
    (StoredRequest.event_id, "events"), (StoredRequest.id, "requests"), where=~_IS_ANOTHERS
)
