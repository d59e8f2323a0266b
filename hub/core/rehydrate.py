"""Rehydration of stored events: the stored data, and fields that only the request body has."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from adapters import AdapterError, Attachment, Event, Inbound, InboundRequest
from hub.core.errors import BodyGone, NotFound
from hub.core.hub import Hub
from hub.core.models import Delivery, EventState, StoredEvent, StoredRequest


def find_event(connection: Connection, event_id: UUID, *, lock: bool = False) -> Row[Any]:
    """Return an event's row; `lock` locks it (`FOR UPDATE`).

    Raises:
        NotFound: there is no such event.
    """
    statement = select(StoredEvent.__table__).where(StoredEvent.id == event_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no event {event_id}")
    return row


def read_again(connection: Connection, hub: Hub, row: Row[Any]) -> Event | None:
    """Return an event parsed again from its request body.

    None if the body is gone or no longer yields the event.
    """
    return event_again(connection, hub.inbound, row.request_id, row.external_id)


def as_event(row: Row[Any], again: Event | None) -> Event:
    """Return an event as routes match it: the stored data, with the sender's own object.

    `again` is the event that `read_again` returned; with None the sender's own object is absent.
    """
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


def event_again(
    connection: Connection,
    inbound: Callable[[str], Inbound],
    request_id: UUID,
    external_id: str,
) -> Event | None:
    """Return an event parsed again from its request body; None if the body no longer yields it.

    The only event of a request is returned under any id: a form event's id depends on a key that
    may change.
    """
    events = events_again(connection, inbound, request_id)
    if len(events) == 1:
        return events[0]
    return next((event for event in events if event.external_id == external_id), None)


def events_again(
    connection: Connection, inbound: Callable[[str], Inbound], request_id: UUID
) -> Sequence[Event]:
    """Return the events of a request, parsed again from its body.

    Empty if the body was not kept or cannot be parsed, or if the source is gone or disabled.
    """
    request = connection.execute(
        select(StoredRequest.__table__).where(StoredRequest.id == request_id)
    ).one_or_none()
    if request is None or request.body is None:
        return ()
    try:
        return inbound(request.source).parse(stored_request(request))
    except (AdapterError, LookupError):
        return ()


def attachments_of(
    connection: Connection, inbound: Callable[[str], Inbound], delivery_id: UUID
) -> Sequence[Attachment]:
    """Return the files of a delivery's event, read again from its request body; empty without it.

    They are read for each call, and not stored with its parameters: an e-mail's may be 30 MB.

    Raises:
        BodyGone: retention has deleted the body.
    """
    request_id, external_id = connection.execute(
        select(StoredEvent.request_id, StoredEvent.external_id)
        .join(Delivery, Delivery.event_id == StoredEvent.id)
        .where(Delivery.id == delivery_id)
    ).one()
    event = event_again(connection, inbound, request_id, external_id)
    if event is None and (at := body_deleted_at(connection, request_id)):
        raise BodyGone(f"the request's body {body_words(at)}")
    return event.attachments if event else ()


def body_deleted_at(connection: Connection, request_id: UUID) -> datetime | None:
    """Return when retention deleted the body of a request; None if it did not."""
    found = select(StoredRequest.body_deleted_at).where(StoredRequest.id == request_id)
    return connection.execute(found).scalar_one_or_none()


def require_body(connection: Connection, request_id: UUID) -> None:
    """Check that the body of a request is kept.

    Raises:
        BodyGone: it is not.
    """
    row = connection.execute(
        select(
            StoredRequest.body_deleted_at, StoredRequest.body.is_not(None).label("is_kept")
        ).where(StoredRequest.id == request_id)
    ).one_or_none()
    if row is None or not row.is_kept:
        raise BodyGone(f"the request's body {body_words(row.body_deleted_at if row else None)}")


def body_words(deleted_at: datetime | None) -> str:
    """Return what became of a body that is not there, after "the request's body"."""
    if deleted_at is None:
        return "was not kept"
    return f"was deleted on {deleted_at:%Y-%m-%d} (`retention.bodies` in hub.yaml)"


def stored_request(row: Row[Any]) -> InboundRequest:
    """Return a stored request as it arrived, without its credentials."""
    return InboundRequest(
        method=row.method,
        url=row.url,
        headers=row.headers,
        body=row.body or b"",
        received_at=row.received_at,
    )
