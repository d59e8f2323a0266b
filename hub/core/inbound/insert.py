"""Insert of a request, its events and their deliveries, all or nothing: the write behind a 2xx.

PostgreSQL needs one statement (`insert_postgresql`), SQLite one for each table (`insert_sqlite`).
Duplicates are counted afterwards; their requests are stored within the byte budget of the source.
So are repetitions of a body that is stored whole, because no event was made of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, or_, select, update

from hub.core.inbound import insert_postgresql, insert_sqlite
from hub.core.inbound.byte_budget import note_over_budget, stored_bytes, take
from hub.core.inbound.header_limit import limit_headers
from hub.core.inbound.insert_postgresql import Batch
from hub.core.models import (
    BODY_KEY,
    Delivery,
    EventKey,
    RequestState,
    StoredEvent,
    StoredRequest,
    database_now,
    insert_if_new,
)
from hub.core.models.body_encoding import decode_body


@dataclass(frozen=True, slots=True)
class Stored:
    """Result of a batch. `is_counted`: all that was written of it are counters."""

    new_event_ids: Sequence[UUID]
    conflict: bool = False
    is_counted: bool = False


def insert_batches(connection: Connection, batches: Sequence[Batch]) -> list[Stored]:
    """Insert the new events of each batch; the others are counted as duplicates."""
    return [
        Stored(new) if len(new) == len(batch.events) else insert_known(connection, batch, new)
        for batch, new in zip(batches, insert_new(connection, batches), strict=True)
    ]


def insert_new(connection: Connection, batches: Sequence[Batch]) -> list[list[UUID]]:
    """Insert the new events of each batch; return their ids, batch by batch."""
    if not batches:
        return []
    if connection.dialect.name == "postgresql":
        return insert_postgresql.insert_new(connection, batches)
    return insert_sqlite.insert_new(connection, batches)


def store_whole(connection: Connection, row: Mapping[str, Any]) -> None:
    """Store a verified request of which no event is made, with its body.

    The first with a body is stored in any case, as its 2xx says; those that repeat its bytes are
    stored within the byte budget of their source, and only counted beyond.
    """
    source, now = row["source"], row["received_at"]
    body = decode_body(row["body"]) if row["body"] is not None else b""
    name = f"{BODY_KEY}{sha256(body).hexdigest()}"
    first = connection.scalar(
        select(EventKey.event_id)
        .join(StoredRequest, StoredRequest.id == EventKey.event_id)
        .where(EventKey.source == source, EventKey.external_id == name)
        .where(StoredRequest.body_deleted_at.is_(None))
    )
    if first == row["id"]:
        return  # an earlier write of this same request, whose answer was lost
    if not take(connection, source, stored_bytes(row), now=now) and first is not None:
        note_over_budget(connection, source, now=now)
        return
    connection.execute(insert_if_new(connection, StoredRequest), row)
    if first is None:
        key = {"source": source, "external_id": name, "event_id": row["id"]}
        gone = delete(EventKey).where(EventKey.source == source, EventKey.external_id == name)
        connection.execute(gone)
        connection.execute(
            insert_if_new(connection, EventKey),
            {**key, "fingerprint": b"", "first_seen_at": now},
        )


def insert_known(connection: Connection, batch: Batch, new: Sequence[UUID]) -> Stored:
    """Insert an event that may come again by now; count the duplicates of any other batch.

    Must be called in a transaction, after `insert_new`, which inserted the events `new`.
    """
    if not new and _free_fact_key(connection, batch):
        [new] = insert_new(connection, [batch])
    return (
        Stored(new) if len(new) == len(batch.events) else _count_duplicates(connection, batch, new)
    )


def _free_fact_key(connection: Connection, batch: Batch) -> bool:
    """Take the fact key from an earlier event if its window is over; return whether it was taken.

    The earlier event keeps its external id. A request that was stored before takes none:
    several may be attempts to send one event, which were refused and are verified again.
    """
    event = batch.events[0]
    if event["fact_window_s"] is None or batch.is_stored:
        return False
    window = timedelta(seconds=event["fact_window_s"])
    freed = connection.execute(
        update(EventKey)
        .where(
            EventKey.source == event["source"],
            EventKey.fact_key == event["fact_key"],
            EventKey.first_seen_at <= event["received_at"] - window,
        )
        .values(fact_key=None)
    )
    return freed.rowcount > 0


def insert_deliveries(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert delivery rows made by `new_delivery_row`; of one event and route, only the first."""
    if not rows:
        return
    # Not the time of arrival: a request that is ingested again arrived long ago.
    now = connection.scalar(select(database_now()))
    values = [_delivery_values(row, now) for row in rows]
    connection.execute(insert_if_new(connection, Delivery), values)


def _delivery_values(row: Mapping[str, Any], now: Any) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name not in ("delay_s", "due")}
    due_at = now + timedelta(seconds=row["delay_s"]) if row["due"] else None
    finished_at = None if row["due"] else now
    return columns | {
        "created_at": now,
        "since": now,
        "next_attempt_at": due_at,
        "finished_at": finished_at,
    }


def _count_duplicates(connection: Connection, batch: Batch, new: Sequence[UUID]) -> Stored:
    """Count the duplicates of a batch, and store the request if none of its events was new.

    Must be called in a transaction. The row of the source is locked before those of events, as
    where a held lead is stored.
    """
    request = batch.request
    earlier = [event for event in batch.events if event["id"] not in set(new)]
    keys = connection.execute(
        select(
            EventKey.external_id, EventKey.fact_key, EventKey.event_id, EventKey.fingerprint
        ).where(
            EventKey.source == request["source"],
            or_(
                EventKey.external_id.in_({event["external_id"] for event in earlier}),
                EventKey.fact_key.in_(
                    {event["fact_key"] for event in earlier if event["fact_key"]}
                ),
            ),
        )
    ).all()
    if not keys and not new:
        # Retention has deleted them since the insert.
        return Stored(insert_new(connection, [batch])[0])
    mine = {event["id"] for event in batch.events}
    if again := [key.event_id for key in keys if key.event_id in mine and key.event_id not in new]:
        # An earlier write of this same batch, whose answer was lost.
        new = [*new, *again]
        earlier = [event for event in earlier if event["id"] not in again]
        if not earlier:
            return Stored(new)
    # An id that nobody signs may come with the content of another event: that one is stored.
    known = {(key.fact_key, key.fingerprint) for key in keys}
    fingerprints = {
        event["external_id"]: event["fingerprint"]
        for event in earlier
        if event["fact_key"] is None or (event["fact_key"], event["fingerprint"]) not in known
    }
    conflict = any(
        fingerprints.get(key.external_id, key.fingerprint) != key.fingerprint for key in keys
    )
    reason = "the same id came with another body; the first one stands" if conflict else None
    is_stored = bool(new)
    if not new:
        event_id = keys[0].event_id if keys else None
        is_stored = _store_duplicate(connection, batch, event_id, reason)
    elif conflict:
        connection.execute(
            update(StoredRequest)
            .where(StoredRequest.id == request["id"])
            .values(conflict=True, reason=reason)
        )
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id.in_({key.event_id for key in keys} - set(new)))
        .values(duplicates=StoredEvent.duplicates + 1)
    )
    return Stored(new, conflict, is_counted=not is_stored)


def _store_duplicate(
    connection: Connection, batch: Batch, event_id: UUID | None, reason: str | None
) -> bool:
    """Store a request without new events; a plain duplicate within the byte budget of its source.

    Return whether it is stored.

    Whoever has seen a signed request can send it again and again, with other headers: beyond the
    budget it is counted, since its event is stored. A conflict is stored whole.
    """
    request = batch.request
    row = dict(request) | {
        "state": RequestState.DUPLICATE,
        "headers": limit_headers(request["headers"]),
        "body": None if reason is None else request["body"],
        "conflict": reason is not None,
        "reason": reason,
        "event_id": event_id,
    }
    source, now = row["source"], row["received_at"]
    if reason is not None and not batch.is_stored:
        store_whole(connection, row)
        return True
    if batch.is_stored or take(connection, source, stored_bytes(row), now=now):
        connection.execute(insert_if_new(connection, StoredRequest), row)
        return True
    note_over_budget(connection, source, now=now)
    return False
