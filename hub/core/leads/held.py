"""Held leads: stored without deliveries or projection until a person releases or discards them.

The list of held leads has the data that a person needs to judge whether a lead is genuine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal_column, select, update

from hub.core.audit import record_action
from hub.core.errors import NotFound, Refused
from hub.core.hub import Hub
from hub.core.inbound.byte_budget import (
    commit_without_disk,
    note_over_budget,
    stored_bytes,
    take,
)
from hub.core.inbound.ingest import (
    IngestResult,
    PreparedRequest,
    ingest,
    needs_projection,
    new_delivery_row,
)
from hub.core.inbound.insert import insert_deliveries
from hub.core.models import EventState, RequestState, StoredEvent
from hub.core.queries.events import find_event_id
from hub.core.rehydrate import as_event, read_again

_IS_HELD = StoredEvent.state == literal_column(f"'{EventState.HELD}'")


@dataclass(frozen=True, slots=True)
class Released:
    """Result of a release: the new state of the lead and the number of its deliveries."""

    state: EventState
    deliveries: int


def hold(prepared: PreparedRequest, reason: str) -> PreparedRequest:
    """Return a prepared request with its events held: they are stored, without deliveries.

    They are marked as projected too: no contact is created from data that a program typed.
    """
    held = {"state": EventState.HELD, "held_reason": reason, "folded": True}
    return _marked(prepared, held, deliveries=False)


def is_held(prepared: PreparedRequest) -> bool:
    """Return whether a prepared request is to be held."""
    events = prepared.batch.events if prepared.batch else []
    return any(event["state"] == EventState.HELD for event in events)


def store_held(connection: Connection, prepared: PreparedRequest) -> IngestResult | None:
    """Store a held lead within the byte budget of its source, in a transaction of its own.

    None, with nothing stored but counted, if it does not fit. One that was stored already, and is
    sent again, is a duplicate of that even then.
    """
    row, events = prepared.row, prepared.batch.events if prepared.batch else []
    now = row["received_at"]
    if take(connection, row["source"], stored_bytes(row, events), now=now):
        return ingest(connection, prepared)
    if find_event_id(connection, row["source"], prepared.events[0].external_id):
        return IngestResult(row["id"], RequestState.DUPLICATE, prepared.events)
    note_over_budget(connection, row["source"], now=now)
    commit_without_disk(connection)
    return None


def sent_by(prepared: PreparedRequest, sender: str) -> PreparedRequest:
    """Return a prepared request whose events carry `sender`, the digest of the sender's address."""
    return _marked(prepared, {"sender": sender}, deliveries=True)


def list_held(
    connection: Connection, *, limit: int, before: UUID | None = None
) -> Sequence[Row[Any]]:
    """Return the held leads, newest first: `id source type received_at held_reason data`.

    `before` is the id of an event: only older ones are returned.
    """
    statement = select(
        StoredEvent.id,
        StoredEvent.source,
        StoredEvent.type,
        StoredEvent.received_at,
        StoredEvent.held_reason,
        StoredEvent.data,
    ).where(_IS_HELD)
    if before:
        statement = statement.where(StoredEvent.id < before)
    found: Sequence[Any] = connection.execute(
        statement.order_by(StoredEvent.id.desc()).limit(limit)
    ).all()
    return found


def release(
    connection: Connection,
    hub: Hub,
    event_id: UUID,
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> Released:
    """Release a held lead as if it arrived now: match it with today's routes, then project it.

    Raises:
        NotFound: there is no such event.
        Refused: the event is not held, or no longer.
    """
    row = _held(connection, event_id)
    matches = hub.router.match(
        as_event(row, read_again(connection, hub, row)),
        event_id=row.id,
        source=row.source,
        received_at=row.received_at,
    )
    state = EventState.MATCHED if matches else EventState.UNMATCHED
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id == row.id)
        .values(
            state=state,
            config_version=hub.router.version,
            folded=not needs_projection(row.type, row.data or {}),
        )
    )
    made = {"id": row.id, "received_at": now}
    insert_deliveries(connection, [new_delivery_row(match, made) for match in matches])
    _note(connection, "release", row, actor=actor, now=now, reason=reason)
    return Released(state, len(matches))


def discard(
    connection: Connection, event_id: UUID, *, actor: str, now: datetime, reason: str
) -> None:
    """Discard a held lead for good: it stays stored, without deliveries or projection.

    Raises:
        NotFound: there is no such event.
        Refused: the event is not held, or no longer, or no reason is given.
    """
    if not reason.strip():
        raise Refused("to discard a lead needs a reason: --reason '...'")
    row = _held(connection, event_id)
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id == row.id)
        .values(state=EventState.DISCARDED, folded=True)
    )
    _note(connection, "discard", row, actor=actor, now=now, reason=reason)


def _held(connection: Connection, event_id: UUID) -> Row[Any]:
    """Lock and return a held event; of two concurrent decisions, the second one is refused.

    Raises:
        NotFound: there is no such event.
        Refused: the event is not held.
    """
    row = connection.execute(
        select(StoredEvent.__table__).where(StoredEvent.id == event_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no event {event_id}: `hub held` lists what is held")
    if row.state != EventState.HELD:
        raise Refused(f"event {event_id} is not held: it is {row.state}")
    return row


def _marked(
    prepared: PreparedRequest, marks: Mapping[str, Any], *, deliveries: bool
) -> PreparedRequest:
    if prepared.batch is None:
        return prepared
    batch = replace(
        prepared.batch,
        events=[event | dict(marks) for event in prepared.batch.events],
        deliveries=prepared.batch.deliveries if deliveries else [],
    )
    return replace(prepared, batch=batch)


def _note(
    connection: Connection,
    did: str,
    row: Row[Any],
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    record_action(
        connection,
        actor=actor,
        action=f"event.{did}",
        subject=f"event {row.id}",
        now=now,
        reason=reason,
        detail={"held for": row.held_reason},
    )
