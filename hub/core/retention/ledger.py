"""Deletion beside the events: keys that outlived theirs, words of far ends, finished replays."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, literal_column, select, update

from hub.core.delivery.transitions import WORKER_DIED
from hub.core.models import (
    IS_OPEN,
    Attempt,
    Delivery,
    EventKey,
    Replay,
    ReplayItem,
    ReplayState,
    StoredEvent,
)
from hub.core.retention.protection import IS_SETTLED, is_alerted
from hub.core.retention.walk import Step, reached

# As the index says it: a call that succeeded has an empty message.
HAS_MESSAGE = Attempt.message != literal_column("''")


def delete_keys(connection: Connection, after: UUID, most: int, *, before: UUID) -> Step:
    """Delete the keys of events that are gone: from now on the same event would be a new one."""
    seen = list(
        connection.execute(
            select(EventKey.event_id)
            .where(EventKey.event_id > after, EventKey.event_id < before)
            .order_by(EventKey.event_id)
            .limit(most)
        ).scalars()
    )
    there = set(
        connection.execute(select(StoredEvent.id).where(StoredEvent.id.in_(seen))).scalars()
    )
    gone = [one for one in seen if one not in there]
    deleted = connection.execute(delete(EventKey).where(EventKey.event_id.in_(gone)))
    return Step(deleted.rowcount, reached(seen, most))


def delete_answers(connection: Connection, after: UUID, most: int, *, before: UUID) -> Step:
    """Delete the words with which far ends answered attempts of settled deliveries.

    Status and code stay, and so does the hub's own remark that a worker died.
    """
    seen = connection.execute(
        select(Attempt.id, Attempt.delivery_id)
        .where(Attempt.id > after, Attempt.id < before, HAS_MESSAGE)
        .order_by(Attempt.id)
        .limit(most)
    ).all()
    settled = select(Delivery.id).where(
        Delivery.id.in_([row.delivery_id for row in seen]),
        IS_SETTLED,
        ~is_alerted(connection, "delivery", Delivery.id),
    )
    may_go = set(connection.execute(settled).scalars())
    ids = [row.id for row in seen if row.delivery_id in may_go]
    free = select(Attempt.id).where(
        Attempt.id.in_(ids), ~IS_OPEN, HAS_MESSAGE, Attempt.message != WORKER_DIED.message
    )
    locked = connection.execute(free.with_for_update(skip_locked=True)).scalars().all()
    connection.execute(update(Attempt).where(Attempt.id.in_(locked)).values(message=None))
    return Step(len(locked), reached([row.id for row in seen], most))


def delete_replays(
    connection: Connection, after: UUID, most: int, *, before: UUID, ended: datetime
) -> Step:
    """Delete replays that ended before an instant: their items first, up to `most` at a time."""
    over = Replay.state.in_([ReplayState.DONE, ReplayState.CANCELLED]) & (
        Replay.finished_at < ended
    )
    oldest = select(Replay.id).where(Replay.id > after, Replay.id < before, over)
    replay_id = connection.execute(oldest.order_by(Replay.id).limit(1)).scalar_one_or_none()
    if replay_id is None:
        return Step(0)
    mine = ReplayItem.replay_id == replay_id
    items = connection.execute(select(ReplayItem.delivery_id).where(mine).limit(most)).scalars()
    ids = list(items)
    connection.execute(delete(ReplayItem).where(mine, ReplayItem.delivery_id.in_(ids)))
    if len(ids) == most:
        # This replay has more of them: it comes again.
        return Step(0, after)
    connection.execute(delete(Replay).where(Replay.id == replay_id))
    return Step(1, replay_id)
