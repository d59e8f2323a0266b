"""Protection of events: what must not be deleted, whatever its age.

An event is needed as long as a delivery of it is open, waiting or unsettled, a replay has yet to
release one, a person is still to be told of its lead, the lead is undecided, or an open alert
speaks of it.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, exists, literal_column, or_, select

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
    StoredEvent,
    is_among,
)
from hub.core.monitoring import alerts

IS_SETTLED = is_among([DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.SKIPPED])
IS_HELD = StoredEvent.state == literal_column(f"'{EventState.HELD}'")
_IS_GOING = Replay.state.in_(
    [literal_column(f"'{state}'") for state in (ReplayState.RUNNING, ReplayState.PAUSED)]
)


def is_needed(connection: Connection) -> ColumnElement[bool]:
    """Return the condition for events that must stay, as an expression over `events`.

    It is for a few events at once, named by their ids: each of its parts looks a row up.
    """
    mine = Delivery.event_id == StoredEvent.id
    parts: list[Any] = [
        IS_HELD,
        exists().where(mine, ~IS_SETTLED),
        exists().where(mine, Attempt.delivery_id == Delivery.id, IS_OPEN),
        exists().where(
            LeadNotification.event_id == StoredEvent.id, LeadNotification.closed_at.is_(None)
        ),
    ]
    if replays := connection.execute(select(Replay.id).where(_IS_GOING)).scalars().all():
        is_waiting = ReplayItem.state == literal_column(f"'{ItemState.WAITING}'")
        is_its = ReplayItem.delivery_id == Delivery.id
        parts.append(exists().where(mine, is_its, ReplayItem.replay_id.in_(replays), is_waiting))
    if spoken_of := alerted(connection):
        parts.append(StoredEvent.id.in_(spoken_of))
        parts.append(exists().where(mine, Delivery.id.in_(spoken_of)))
    return or_(*parts)


def alerted(connection: Connection) -> Collection[UUID]:
    """Return the ids of deliveries and events that open alerts speak of.

    Those of unknown outcomes are left out: their deliveries are unsettled anyway.
    """
    subjects = select(Alert.subject).where(
        Alert.ended_at.is_(None), Alert.kind != alerts.UNKNOWN_OUTCOME
    )
    last_words = (text.rpartition(" ")[2] for text in connection.execute(subjects).scalars())
    return {found for word in last_words if (found := parse_id(word))}
