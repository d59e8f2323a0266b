"""Protection of events: what must not be deleted, whatever its age.

An event is needed as long as a delivery of it is open, waiting or unsettled, a replay has yet to
release one, a person is still to be told of its lead, the lead is undecided, or an open alert
speaks of it.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, or_, select

from hub.core.ids import parse_id
from hub.core.models import (
    IS_OPEN,
    Alert,
    Attempt,
    Delivery,
    DeliveryState,
    EventState,
    ItemState,
    LeadNotification,
    Replay,
    ReplayItem,
    ReplayState,
    is_among,
)
from hub.core.monitoring import alerts

IS_SETTLED = is_among([DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.SKIPPED])


def needed(connection: Connection, events: Sequence[Any]) -> set[UUID]:
    """Return the ids of those events that must stay. Rows have `id` and `state`."""
    ids = [row.id for row in events]
    if not ids:
        return set()
    found = {row.id for row in events if row.state == EventState.HELD}
    found |= _ids(connection, select(Delivery.event_id), Delivery.event_id.in_(ids), ~IS_SETTLED)
    open_ = select(Delivery.event_id).join(Attempt, Attempt.delivery_id == Delivery.id)
    found |= _ids(connection, open_, Delivery.event_id.in_(ids), IS_OPEN)
    told = select(LeadNotification.event_id)
    is_mine = LeadNotification.event_id.in_(ids)
    found |= _ids(connection, told, is_mine, LeadNotification.closed_at.is_(None))
    found |= _to_be_replayed(connection, ids)
    if spoken_of := alerted(connection):
        either = or_(Delivery.id.in_(spoken_of), Delivery.event_id.in_(spoken_of))
        found |= spoken_of & set(ids)
        found |= _ids(connection, select(Delivery.event_id), Delivery.event_id.in_(ids), either)
    return found


def alerted(connection: Connection) -> set[UUID]:
    """Return the ids of deliveries and events that open alerts speak of.

    Those of unknown outcomes are left out: their deliveries are unsettled anyway.
    """
    subjects = select(Alert.subject).where(
        Alert.ended_at.is_(None), Alert.kind != alerts.UNKNOWN_OUTCOME
    )
    last_words = (text.rpartition(" ")[2] for text in connection.execute(subjects).scalars())
    return {found for word in last_words if (found := parse_id(word))}


def _to_be_replayed(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    going = connection.execute(
        select(Replay.id).where(Replay.state.in_([ReplayState.RUNNING, ReplayState.PAUSED]))
    )
    if not (replay_ids := going.scalars().all()):
        return set()
    waiting = select(Delivery.event_id).join(ReplayItem, ReplayItem.delivery_id == Delivery.id)
    return _ids(
        connection,
        waiting,
        Delivery.event_id.in_(ids),
        ReplayItem.replay_id.in_(replay_ids),
        ReplayItem.state == ItemState.WAITING,
    )


def _ids(connection: Connection, statement: Any, *conditions: Any) -> set[UUID]:
    return set(connection.execute(statement.where(*conditions)).scalars())
