"""Edited copies of events: a new event beside the original, matched with the current routes.

The original stays as it arrived. The copy keeps the sender's own object for the routes that read
it, and records the changes and the person who made them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select

from adapters import Event, Unreadable
from adapters.contract.strict_json import digest, read_json, storable
from hub.core.audit import record_action
from hub.core.contacts import ABOUT_THE_PERSON
from hub.core.errors import Refused
from hub.core.event_kinds import is_feedback
from hub.core.hub import Hub
from hub.core.ids import new_id
from hub.core.inbound.ingest import IDENTITY_FIELDS, needs_projection, new_delivery_row
from hub.core.inbound.insert import insert_deliveries
from hub.core.models import (
    Delivery,
    EventCopy,
    EventKey,
    EventState,
    StoredEvent,
    insert_if_new,
)
from hub.core.rehydrate import as_event, find_event, read_again

# Fields by which a status callback finds its message: an edit must not point to another message.
TELLS_OF = ("hub_attempt", "delivery_id", "message_id")
LARGEST_BYTES = 256 * 1024
MOST_CHANGES = 100

Change = tuple[str, Any, Any]


def read_edited(text: str) -> dict[str, Any]:
    """Return the event data that a person typed as JSON.

    Raises:
        Refused: it is not a JSON object, or too long; the message says where.
    """
    body = text.encode("utf-8", "replace")
    if len(body) > LARGEST_BYTES:
        raise Refused(f"that is more than {LARGEST_BYTES // 1024} KiB")
    try:
        data = read_json(body)
    except Unreadable as error:
        raise Refused(str(error)) from error
    if not isinstance(data, dict):
        raise Refused('the data must be a JSON object: { "name": … }')
    return data


def copy_event(
    connection: Connection,
    hub: Hub,
    event_id: UUID,
    data: Mapping[str, Any],
    *,
    actor: str,
    now: datetime,
    form: str = "",
) -> tuple[UUID, int]:
    """Store an edited copy of an event with its deliveries; return its id and their number.

    `form` identifies the page on which the event was edited: the same edit, sent twice from that
    page, makes one copy.

    Raises:
        NotFound: there is no such event.
        Refused: nothing was changed, or a field that refers to a message was (`TELLS_OF`).
    """
    row = find_event(connection, event_id)
    original = as_event(row, read_again(connection, hub, row))
    before = {name: value for name, value in original.data.items() if name != "native"}
    kept, data_error = storable({name: data[name] for name in data if name != "native"})
    changes = list(_changes(before, kept, ""))[:MOST_CHANGES]
    if not changes:
        raise Refused("nothing was changed: replay the event itself instead")
    if other := [name for name in TELLS_OF if before.get(name) != kept.get(name)]:
        raise Refused(f"{other[0]} says of which message it tells: leave it as it is")
    copy_id = new_id(now)
    native, _ = storable({"native": original.data["native"]} if "native" in original.data else {})
    external_id = f"copy:{_name_of(event_id, form, kept) if form else copy_id}"
    if earlier := _made_before(connection, row.source, external_id, copy_id, now):
        return earlier
    copied = replace(original, external_id=external_id, data=kept | native, incomplete=False)
    matches = hub.router.match(copied, event_id=copy_id, source=row.source, received_at=now)
    state = EventState.MATCHED if matches else EventState.UNMATCHED
    marks = {"state": state, "data_error": data_error, "config_version": hub.router.version}
    _insert(connection, row, copied, copy_id, now, marks)
    connection.execute(
        insert(EventCopy).values(
            event_id=copy_id, original_id=event_id, actor=actor, made_at=now, changes=changes
        )
    )
    made = {"id": copy_id, "received_at": now}
    insert_deliveries(connection, [new_delivery_row(match, made) for match in matches])
    detail = {"copy": str(copy_id), "changed": [path for path, _, _ in changes]}
    record_action(
        connection,
        actor=actor,
        action="event.copy",
        subject=f"event {event_id}",
        now=now,
        detail=detail,
    )
    return copy_id, len(matches)


def _name_of(event_id: UUID, form: str, data: Mapping[str, Any]) -> UUID:
    return UUID(bytes=digest([str(event_id), form, data])[:16])


def _made_before(
    connection: Connection, source: str, external_id: str, copy_id: UUID, now: datetime
) -> tuple[UUID, int] | None:
    """Insert the event key of a copy; return None.

    If the key exists already, return the id of its copy and the number of that copy's deliveries.
    """
    key = {"event_id": copy_id, "fingerprint": b"", "first_seen_at": now}
    taken = connection.execute(
        insert_if_new(connection, EventKey)
        .values({"source": source, "external_id": external_id} | key)
        .returning(EventKey.event_id)
    )
    if taken.first() is not None:
        return None
    made_id = select(EventKey.event_id).where(
        EventKey.source == source, EventKey.external_id == external_id
    )
    made: UUID = connection.execute(made_id).scalar_one()
    deliveries = select(func.count()).where(Delivery.event_id == made)
    return made, connection.execute(deliveries).scalar_one()


def _insert(
    connection: Connection,
    row: Row[Any],
    copied: Event,
    copy_id: UUID,
    now: datetime,
    marks: Mapping[str, Any],
) -> None:
    """Insert a copy whose event key is inserted already; its request is that of the original."""
    same = {"source": row.source, "external_id": copied.external_id}
    is_hearsay = _is_hearsay(row.type, copied.data)
    columns = {
        "id": copy_id,
        "request_id": row.request_id,
        "type": row.type,
        "native_type": row.native_type,
        "occurred_at": row.occurred_at,
        "received_at": now,
        "live": row.live,
        "data": copied.data,
        "folded": is_hearsay or not needs_projection(row.type, copied.data),
        "contact_id": row.contact_id if is_hearsay and _is_of_same(row, copied) else None,
    }
    connection.execute(insert(StoredEvent).values(same | columns | dict(marks)))


def _is_hearsay(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event of this type would change a delivery, a lead or a known contact.

    Such an event is a status callback, an acknowledgement, or states a contact's current details.
    An edit by a person must not do so in the name of a provider or a customer.
    """
    return is_feedback(event_type, data) or event_type.startswith(ABOUT_THE_PERSON)


def _is_of_same(row: Row[Any], copied: Event) -> bool:
    return all((row.data or {}).get(name) == copied.data.get(name) for name in IDENTITY_FIELDS)


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    """Yield the differences of two trees as (path, before, after), as deep as both are mappings."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if before != after or type(before) is not type(after):
            yield path, before, after
        return
    for name in dict.fromkeys([*before, *after]):
        inner = f"{path}.{name}" if path else str(name)
        yield from _changes(before.get(name), after.get(name), inner)
