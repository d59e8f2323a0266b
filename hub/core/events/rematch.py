"""Re-matching: applies the current routes to an event that an older `hub.yaml` has matched."""

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
    """Return the matches of current routes that have no delivery of an event.

    `event` is made from its row by `as_event`. A route that was renamed (`was`) still has its
    deliveries.

    Raises:
        Refused: the event is held, discarded or incomplete.
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
    """Create the missing deliveries of current routes; return the routes' names, perhaps none.

    Idempotent: an event has one delivery per route.

    Raises:
        NotFound: there is no such event.
        Refused: the event is held, discarded or incomplete.
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
