"""Deletion of events, each with all that hangs on it; only its key stays, and finds duplicates."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, or_, select

from hub.core.models import (
    Acknowledgement,
    Assignment,
    Attempt,
    Delivery,
    EventCopy,
    EventState,
    LeadLink,
    LeadNotification,
    StoredEvent,
    StoredRequest,
)
from hub.core.retention.protection import IS_SETTLED, needed
from hub.core.retention.walk import Step, reached
from hub.core.search.indexer import delete_words

# More requests are never deleted at once. An event that came again more often goes later.
MOST_REPEATS = 500
_SEEN = (StoredEvent.id, StoredEvent.request_id, StoredEvent.state)


def delete_events(connection: Connection, after: UUID, most: int, *, before: UUID) -> Step:
    """Delete the events among the next `most` after an id that nobody needs; `before` is the end.

    An event that an edited copy was made of stays as long as the copy.
    """
    seen = connection.execute(
        select(*_SEEN)
        .where(StoredEvent.id > after, StoredEvent.id < before)
        .order_by(StoredEvent.id)
        .limit(most)
    ).all()
    stay = needed(connection, seen)
    deleted = remove(connection, [row.id for row in seen if row.id not in stay])
    return Step(deleted, reached([row.id for row in seen], most))


def remove(connection: Connection, ids: Collection[UUID], *, held: bool = False) -> int:
    """Delete those of these events that are not locked; return their number.

    `held`: held leads; without it, all others. Each event is looked at once more under its lock,
    with its deliveries: what a person replays at this moment stays.
    """
    rows = _locked(connection, ids, held=held)
    if not rows:
        return 0
    event_ids = [row.id for row in rows]
    _delete(connection, Attempt.delivery_id, select(Delivery.id).where(_of(event_ids)))
    for table in (LeadNotification, Assignment, Acknowledgement, LeadLink, Delivery):
        _delete(connection, table.event_id, event_ids)
    _delete(connection, EventCopy.event_id, event_ids)
    delete_words(connection, event_ids)
    _delete(connection, StoredEvent.id, event_ids)
    requests = or_(
        StoredRequest.id.in_([row.request_id for row in rows]),
        StoredRequest.event_id.in_(event_ids),
    )
    is_anothers = exists().where(StoredEvent.request_id == StoredRequest.id)
    connection.execute(delete(StoredRequest).where(requests, ~is_anothers))
    return len(rows)


def _locked(connection: Connection, ids: Collection[UUID], *, held: bool) -> Sequence[Any]:
    """Lock events and their deliveries; return the events that can be deleted."""
    if not ids:
        return ()
    is_held = StoredEvent.state == EventState.HELD
    rows = connection.execute(
        select(*_SEEN)
        .where(StoredEvent.id.in_(ids), is_held if held else ~is_held)
        .order_by(StoredEvent.id)
        .with_for_update(skip_locked=True)
    ).all()
    mine = [row.id for row in rows]
    # Whatever locks or changes one of them keeps its event.
    free = select(Delivery.id).where(_of(mine), IS_SETTLED).order_by(Delivery.id)
    settled = set(connection.execute(free.with_for_update(skip_locked=True)).scalars())
    all_ = connection.execute(select(Delivery.id, Delivery.event_id).where(_of(mine)))
    stay = {row.event_id for row in all_ if row.id not in settled}
    copied = select(EventCopy.original_id).where(EventCopy.original_id.in_(mine))
    stay |= set(connection.execute(copied).scalars())
    stay |= _repeated(connection, mine)
    return [row for row in rows if row.id not in stay]


def _repeated(connection: Connection, event_ids: Collection[UUID]) -> set[UUID]:
    """Delete repeats of events that have too many for one step; return the ids of those events."""
    repeats = (
        select(StoredRequest.id, StoredRequest.event_id)
        .where(StoredRequest.event_id.in_(event_ids))
        .where(~exists().where(StoredEvent.request_id == StoredRequest.id))
        .limit(MOST_REPEATS)
    )
    found = connection.execute(repeats).all()
    if len(found) < MOST_REPEATS:
        return set()
    _delete(connection, StoredRequest.id, [row.id for row in found])
    return {row.event_id for row in found}


def _of(event_ids: Collection[UUID]) -> Any:
    return Delivery.event_id.in_(event_ids)


def _delete(connection: Connection, column: Any, values: Any) -> None:
    connection.execute(delete(column.class_).where(column.in_(values)))
