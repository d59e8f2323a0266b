"""A stored event as routes see it: its kept data, and what only its bytes still say."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from adapters import Event
from hub.core.delivery.context import event_again
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.models import EventState, StoredEvent


def find_event(connection: Connection, event_id: UUID, *, lock: bool = False) -> Row[Any]:
    """Return an event's row.

    Raises:
        NotFound: there is none.
    """
    statement = select(StoredEvent.__table__).where(StoredEvent.id == event_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no event {event_id}")
    return row


def read_again(connection: Connection, hub: Hub, row: Row[Any]) -> Event | None:
    """Return an event read again from its bytes; None when they are gone or say it no more."""
    return event_again(connection, hub.inbound, row.request_id, row.external_id)


def as_event(row: Row[Any], again: Event | None) -> Event:
    """Return what routes match: the kept data, with the sender's own object if it is there."""
    data = dict(row.data or {})
    if again is not None and "native" in again.data:
        data.setdefault("native", again.data["native"])
    return Event(
        type=row.type,
        native_type=row.native_type,
        external_id=row.external_id,
        occurred_at=row.occurred_at,
        data=data,
        live=row.live,
        incomplete=row.state == EventState.INCOMPLETE,
        echo=again is not None and again.echo,
    )
