"""Enrichment: incomplete events are completed with fetched data, and then matched with routes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal, literal_column, select, update
from sqlalchemy.exc import DBAPIError

from adapters import Event, Unreadable
from adapters.contract.strict_json import storable
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.record import Finished, Recording
from hub.core.hub import Hub
from hub.core.inbound.ingest import needs_projection, new_delivery_row
from hub.core.inbound.insert import insert_deliveries
from hub.core.inbound.routing import FETCH, Match
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    EventState,
    StoredEvent,
)
from hub.core.rehydrate import event_again
from hub.core.text import bounded_text

# Fetched data is stored beside the canonical fields unless it is longer.
MAX_NATIVE_CHARACTERS = 64 * 1024

log = logging.getLogger(__name__)


def record_and_complete(
    connection: Connection, hub: Hub, finished: Sequence[Finished], *, now: datetime
) -> tuple[int, int]:
    """Record the outcomes of calls, and complete the events that they fetched.

    Return how many outcomes this holder could no longer write, and how many deliveries were made.
    """
    return settle_and_complete(connection, hub, Recording(connection, finished), now=now)


def settle_and_complete(
    connection: Connection, hub: Hub, recording: Recording, *, now: datetime
) -> tuple[int, int]:
    """Settle a recording, and complete the events that its calls fetched.

    Return what `record_and_complete` does.
    """
    late = recording.settle()
    made = sum(
        _complete(connection, hub, one.delivery_id, one.outcome.found, now=now)
        for one in recording.finished
        if one.outcome.found is not None
    )
    return late, made


def _complete(
    connection: Connection, hub: Hub, delivery_id: UUID, found: Mapping[str, Any], *, now: datetime
) -> int:
    row = connection.execute(
        select(StoredEvent.__table__)
        .join(Delivery, Delivery.event_id == StoredEvent.id)
        .where(Delivery.id == delivery_id, StoredEvent.state == EventState.INCOMPLETE)
        .with_for_update(of=StoredEvent)
    ).one_or_none()
    if row is None:
        return 0
    try:
        with connection.begin_nested():
            return _take_in(connection, hub, row, found, now=now)
    except Unreadable as error:
        why = f"what was fetched cannot be read: {error}"
    except DBAPIError as error:
        if classify(error) is not DatabaseErrorKind.REJECTED_ROW:
            raise
        why = "what was fetched cannot be kept"
    except Exception as error:  # noqa: BLE001 - last resort: one bad answer must not stop its lane
        why = f"what was fetched cannot be read ({type(error).__name__})"
    log.error("event %s stays incomplete: %s", row.id, why)
    _refuse(connection, row.id, delivery_id, bounded_text(why))
    return 0


def _refuse(connection: Connection, event_id: UUID, delivery_id: UUID, why: str) -> None:
    """Mark a fetch that brought unusable data as failed: it is then listed and can be replayed."""
    connection.execute(update(StoredEvent).where(StoredEvent.id == event_id).values(data_error=why))
    connection.execute(
        update(Attempt)
        .where(Attempt.delivery_id == delivery_id, Attempt.state == AttemptState.ACCEPTED)
        .values(state=AttemptState.REJECTED, message=why)
    )
    connection.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.state == DeliveryState.SUCCEEDED)
        .values(state=DeliveryState.FAILED, error=why)
    )


def _take_in(
    connection: Connection, hub: Hub, row: Row[Any], found: Mapping[str, Any], *, now: datetime
) -> int:
    """Complete one event and create its deliveries; return how many.

    Raises:
        Unreadable: its request body is gone, or `found` does not complete it.
    """
    thin = event_again(connection, hub.inbound, row.request_id, row.external_id)
    if thin is None:
        raise Unreadable("its request was not kept")
    event = hub.inbound(row.source).complete(thin, found)
    if event.incomplete:
        raise Unreadable("with it the event still says too little")
    data, data_error = storable(_kept(event))
    matches = hub.router.match(
        event, event_id=row.id, source=row.source, received_at=row.received_at
    )
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id == row.id)
        .values(
            type=event.type,
            state=EventState.MATCHED if matches else EventState.UNMATCHED,
            data=data,
            data_error=data_error,
            config_version=hub.router.version,
            folded=not needs_projection(event.type, event.data),
            # The search index lacks the fetched data.
            indexed=False,
        )
    )
    made = {"id": row.id, "received_at": now}
    insert_deliveries(connection, [new_delivery_row(match, made) for match in matches])
    return len(matches)


def _kept(event: Event) -> dict[str, Any]:
    data = dict(event.data)
    if len(repr(data.get("native"))) > MAX_NATIVE_CHARACTERS:
        del data["native"]
    return data


# With a literal, as in the partial index.
_IS_INCOMPLETE = StoredEvent.state == literal_column(f"'{EventState.INCOMPLETE}'")


@dataclass(slots=True)
class FetchCursor:
    """Cursor of a round through all incomplete events, some of which stay incomplete for ever."""

    after: UUID | None = None


def schedule_fetches(
    connection: Connection, hub: Hub, *, most: int, now: datetime, round_: FetchCursor | None = None
) -> int:
    """Create the fetch deliveries of incomplete events that have none; return how many.

    Such events arrived before their source had an account. An event whose request body is gone
    gets its delivery too, which fails with that reason. At most `most` events are examined, from
    the position of the cursor.
    """
    round_ = round_ or FetchCursor()
    routes = {slug: hub.router.fetch_route(slug) for slug in hub.configuration.sources}
    if not any(routes.values()):
        return 0
    page = select(StoredEvent.id, StoredEvent.source).where(_IS_INCOMPLETE)
    if round_.after is not None:
        page = page.where(StoredEvent.id > round_.after)
    looked_at = page.order_by(StoredEvent.id).limit(most).subquery()
    fetch = Delivery.route == literal(FETCH) + looked_at.c.source
    rows = connection.execute(
        select(looked_at, Delivery.id.is_(None).label("is_alone"))
        .outerjoin(Delivery, (Delivery.event_id == looked_at.c.id) & fetch)
        .order_by(looked_at.c.id)
    ).all()
    round_.after = rows[-1].id if len(rows) == most else None
    deliveries = [
        new_delivery_row(Match(route, DeliveryState.PENDING), {"id": row.id, "received_at": now})
        for row in rows
        if row.is_alone and (route := routes.get(row.source))
    ]
    insert_deliveries(connection, deliveries)
    return len(deliveries)
