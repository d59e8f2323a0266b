"""Today's routes for an event of yesterday: what an older `hub.yaml` missed is made up for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from adapters import Event
from hub.core.audit import record_action
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.inbound.ingest import new_delivery_row
from hub.core.inbound.insert import insert_deliveries
from hub.core.inbound.routing import Match
from hub.core.models import Delivery, EventState, StoredEvent
from hub.core.rehydrate import as_event, find_event, read_again

_APART = {
    EventState.HELD: "it is held: release it, and today's routes take it",
    EventState.DISCARDED: "it was discarded",
    EventState.INCOMPLETE: "it says too little yet: today's routes take it once it is fetched",
}


def missing(connection: Connection, hub: Hub, row: Row[Any], event: Event) -> list[Match]:
    """Return the routes of today's file that take an event and have no delivery of it.

    `event` is its row as `as_event` makes it. A route that was renamed (`was`) has its deliveries
    still.

    Raises:
        Refused: it is held, discarded or incomplete.
    """
    if why := _APART.get(row.state):
        raise Refused(why)
    names = connection.execute(select(Delivery.route).where(Delivery.event_id == row.id))
    taken = {
        route.name if (route := hub.router.by_name(name)) else name for name in names.scalars()
    }
    matches = hub.router.match(
        event, event_id=row.id, source=row.source, received_at=row.received_at
    )
    return [match for match in matches if match.route.name not in taken]


def apply_routes(
    connection: Connection, hub: Hub, event_id: UUID, *, actor: str, now: datetime
) -> Sequence[str]:
    """Make the deliveries that today's routes miss; return the routes' names, none if none did.

    Twice is as good as once: an event has one delivery of a route.

    Raises:
        NotFound: there is no such event.
        Refused: it is held, discarded or incomplete.
    """
    row = find_event(connection, event_id, lock=True)
    event = as_event(row, read_again(connection, hub, row))
    matches = missing(connection, hub, row, event)
    if not matches:
        return ()
    made = {"id": event_id, "received_at": now}
    insert_deliveries(connection, [new_delivery_row(match, made) for match in matches])
    connection.execute(
        update(StoredEvent).where(StoredEvent.id == event_id).values(state=EventState.MATCHED)
    )
    names = [match.route.name for match in matches]
    record_action(
        connection,
        actor=actor,
        action="event.apply_routes",
        subject=f"event {event_id}",
        now=now,
        detail={"routes": names, "version": hub.router.version},
    )
    return names
