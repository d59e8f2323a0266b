"""Event details: contact, request, deliveries and attempts, copies, and related events.

Also truncates JSON trees to a size that a page can show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, or_, select

from hub.core.ids import first_id, parse_id
from hub.core.models import (
    Attempt,
    ConfigVersion,
    Contact,
    Delivery,
    EventCopy,
    RequestState,
    StoredEvent,
    StoredRequest,
)
from hub.core.queries.event_rows import EventRow, event_row, select_event_rows
from hub.core.search.search import found_by

MOST_DELIVERIES = 200
MOST_ATTEMPTS = 400
MOST_REPEATS = 20
MOST_RELATED = 20

_REQUEST = (
    StoredRequest.id, StoredRequest.source, StoredRequest.state, StoredRequest.received_at,
    StoredRequest.method, StoredRequest.url, StoredRequest.headers, StoredRequest.size_bytes,
    StoredRequest.signed_by, StoredRequest.conflict, StoredRequest.reason, StoredRequest.event_id,
    StoredRequest.body_deleted_at,
)  # fmt: skip
MOST_NODES = 600
LONGEST_TEXT = 4000
MORE = "…"


@dataclass(frozen=True, slots=True)
class DeliveryRun:
    """Delivery with its attempts, in order of their number."""

    delivery: Row[Any]
    attempts: Sequence[Row[Any]] = ()


@dataclass(frozen=True, slots=True)
class ContactSummary:
    """Contact of an event, and the contact's other events, newest first."""

    contact: Row[Any]
    others: Sequence[EventRow] = ()


@dataclass(frozen=True, slots=True)
class CopyLinks:
    """Copy records of an event: the one that made it (`made`), and those of its own copies."""

    made: Row[Any] | None = None
    of_it: Sequence[Row[Any]] = field(default_factory=tuple)


def request_of(connection: Connection, request_id: UUID) -> Row[Any] | None:
    """Return a request without its body; None if it is not stored any more."""
    return connection.execute(select(*_REQUEST).where(StoredRequest.id == request_id)).one_or_none()


def body_of(connection: Connection, request_id: UUID) -> bytes | None:
    """Return a request's exact body; None if the body is not stored."""
    return connection.execute(
        select(StoredRequest.body).where(StoredRequest.id == request_id)
    ).scalar_one_or_none()


def events_of(connection: Connection, request: Row[Any]) -> list[EventRow]:
    """Return the first events of a request; of a duplicate request, the event that it repeats.

    The ids of a request's events are created from its time of receipt, so that a range of ids of
    one millisecond finds them.
    """
    came = (
        StoredEvent.id >= first_id(request.received_at),
        StoredEvent.id < first_id(request.received_at + timedelta(milliseconds=1)),
        StoredEvent.request_id == request.id,
    )
    mine = came if request.state == RequestState.ACCEPTED else (StoredEvent.id == request.event_id,)
    statement = select_event_rows(connection, StoredEvent).where(*mine)
    rows = connection.execute(statement.order_by(StoredEvent.id).limit(MOST_RELATED))
    return [event_row(connection, row) for row in rows]


def repeats_of(connection: Connection, event: Row[Any]) -> list[Row[Any]]:
    """Return the other requests that carried an event: plain duplicates, and conflicts."""
    return list(
        connection.execute(
            select(*_REQUEST)
            .where(StoredRequest.event_id == event.id, StoredRequest.id != event.request_id)
            .order_by(StoredRequest.id)
            .limit(MOST_REPEATS)
        )
    )


def runs_of(connection: Connection, event_id: UUID) -> list[DeliveryRun]:
    """Return an event's deliveries with their attempts, in order of creation."""
    deliveries = connection.execute(
        select(Delivery.__table__)
        .where(Delivery.event_id == event_id)
        .order_by(Delivery.id)
        .limit(MOST_DELIVERIES)
    ).all()
    attempts: dict[UUID, list[Row[Any]]] = {one.id: [] for one in deliveries}
    rows = connection.execute(
        select(Attempt.__table__)
        .where(Attempt.delivery_id.in_(list(attempts)))
        .order_by(Attempt.delivery_id, Attempt.n)
        .limit(MOST_ATTEMPTS)
    )
    for row in rows:
        attempts[row.delivery_id].append(row)
    return [DeliveryRun(one, attempts[one.id]) for one in deliveries]


def contact_of(connection: Connection, event: Row[Any]) -> ContactSummary | None:
    """Return the contact of an event; None if it has none, or is not projected yet."""
    if event.contact_id is None:
        return None
    columns: list[Any] = [Contact.id, Contact.name, Contact.email, Contact.phone]
    contact = connection.execute(select(*columns).where(Contact.id == event.contact_id)).one()
    others = connection.execute(
        select_event_rows(connection, StoredEvent)
        .where(StoredEvent.contact_id == event.contact_id, StoredEvent.id != event.id)
        .order_by(StoredEvent.id.desc())
        .limit(MOST_RELATED)
    )
    return ContactSummary(contact, [event_row(connection, row) for row in others])


def cause_of(connection: Connection, data: Mapping[str, Any]) -> Row[Any] | None:
    """Return the delivery that an event reports on; None if it reports on no delivery of the hub.

    `data` names the delivery by `delivery_id` or `hub_attempt`, or by the provider's `message_id`.
    """
    named = [data.get("delivery_id"), str(data.get("hub_attempt") or "").rpartition(".")[0]]
    ids = [one for name in named if (one := parse_id(str(name or "")))]
    ways: list[Any] = [Delivery.id.in_(ids)] if ids else []
    if isinstance(reference := data.get("message_id"), str):
        ways.append((Delivery.provider_ref == reference) & Delivery.provider_ref.is_not(None))
    if not ways:
        return None
    return connection.execute(
        select(Delivery.__table__).where(or_(*ways)).order_by(Delivery.id).limit(1)
    ).one_or_none()


def caused_by(connection: Connection, runs: Sequence[DeliveryRun]) -> list[EventRow]:
    """Return the events that report on these deliveries, oldest first."""
    ids = {str(run.delivery.id) for run in runs}
    references = {run.delivery.provider_ref for run in runs} | {
        attempt.provider_ref for run in runs for attempt in run.attempts
    }
    told = ids | {one for one in references if one}
    found = found_by(connection, sorted(told), most=MOST_RELATED * 2)
    rows = connection.execute(
        select(StoredEvent.id, StoredEvent.data).where(StoredEvent.id.in_(found))
    )
    mine = [row.id for row in rows if _tells_of(row.data or {}, ids, references)]
    shown = connection.execute(
        select_event_rows(connection, StoredEvent)
        .where(StoredEvent.id.in_(mine))
        .order_by(StoredEvent.id)
        .limit(MOST_RELATED)
    )
    return [event_row(connection, row) for row in shown]


def copies_of(connection: Connection, event_id: UUID) -> CopyLinks:
    """Return the copy record that made an event, and those of its edited copies, newest first."""
    made = connection.execute(
        select(EventCopy.__table__).where(EventCopy.event_id == event_id)
    ).one_or_none()
    of_it = connection.execute(
        select(EventCopy.__table__)
        .where(EventCopy.original_id == event_id)
        .order_by(EventCopy.event_id.desc())
        .limit(MOST_RELATED)
    )
    return CopyLinks(made, of_it.all())


def routes_then(connection: Connection, version: str) -> Mapping[str, Any] | None:
    """Return the routes of a configuration version; None if that version is not stored."""
    return connection.execute(
        select(ConfigVersion.routes).where(ConfigVersion.version == version)
    ).scalar_one_or_none()


def _tells_of(data: Mapping[str, Any], ids: set[str], references: set[Any]) -> bool:
    attempt = str(data.get("hub_attempt") or "").rpartition(".")[0]
    return (
        data.get("delivery_id") in ids
        or attempt in ids
        or (data.get("message_id") is not None and data["message_id"] in references)
    )


def cut(value: Any) -> Any:
    """Return a JSON tree truncated to `MOST_NODES` nodes, and its texts to `LONGEST_TEXT`."""
    return _cut(value, [MOST_NODES])


def _cut(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, str):
        if len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}{MORE} ({len(value) - LONGEST_TEXT} more characters)"
    if isinstance(value, Mapping):
        kept: dict[str, Any] = {}
        for name, inner in value.items():
            if left[0] <= 0:
                return kept | {MORE: f"{len(value) - len(kept)} more"}
            kept[str(name)[:LONGEST_TEXT]] = _cut(inner, left)
        return kept
    if isinstance(value, list | tuple):
        items: list[Any] = []
        for inner in value:
            if left[0] <= 0:
                return [*items, f"{MORE} {len(value) - len(items)} more"]
            items.append(_cut(inner, left))
        return items
    return value
