"""The write behind a 2xx: a request, its events and their deliveries, together or not at all.

PostgreSQL takes one statement; a duplicate creates nothing, because everything hangs on the keys
that were really inserted. SQLite takes the same in steps inside `BEGIN IMMEDIATE`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.dialects import sqlite

from hub.core.models import (
    Delivery,
    EventKey,
    RequestState,
    StoredEvent,
    StoredRequest,
    database_now,
    insert_if_new,
)
from hub.core.recordset import as_json, typed


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request. `deliveries` name their event by `event_id`."""

    request: dict[str, Any]
    events: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stored:
    new_event_ids: Sequence[UUID]
    conflict: bool = False


def store(connection: Connection, batch: Batch) -> Stored:
    """Store a batch; what was there before is counted as a duplicate instead."""
    if connection.dialect.name == "postgresql":
        new = insert_new(connection, [batch])[0]
    else:
        new = _sqlite(connection, batch)
    return count_rest(connection, batch, new)


def insert_new(connection: Connection, batches: Sequence[Batch]) -> list[list[UUID]]:
    """Insert what is new of each batch, in one statement of PostgreSQL; return its events' ids.

    What is not new is left to `count_rest`, batch by batch.
    """
    events = [event for batch in batches for event in batch.events]
    events.sort(key=_locking)
    parameters = {
        "requests": as_json(_request_values(batch) for batch in batches),
        "bodies": [batch.request["body"] for batch in batches],
        "events": as_json(_event_values(event) for event in events),
        "deliveries": as_json(row for batch in batches for row in batch.deliveries),
    }
    new = set(connection.exec_driver_sql(_INSERT, parameters).scalars())
    return [[e["id"] for e in batch.events if e["id"] in new] for batch in batches]


def count_rest(connection: Connection, batch: Batch, new: Sequence[UUID]) -> Stored:
    """Count what of a batch was there before; `new` is what was not."""
    if len(new) == len(batch.events):
        return Stored(new)
    return _count_duplicates(connection, batch, new)


def _locking(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return where an event's keys come in the one order in which all writes take them."""
    return event["source"], event["fact_key"] or "", event["external_id"]


_REQUEST_COLUMNS = {
    "id": "uuid",
    "source": "text",
    "state": "text",
    "received_at": "timestamptz",
    "method": "text",
    "url": "text",
    "headers": "jsonb",
    "size_bytes": "int",
    "signed_by": "text",
}
_EVENT_COLUMNS = {
    "id": "uuid",
    "request_id": "uuid",
    "source": "text",
    "received_at": "timestamptz",
    "config_version": "text",
    "type": "text",
    "native_type": "text",
    "external_id": "text",
    "fact_key": "text",
    "fingerprint": "bytea",
    "occurred_at": "timestamptz",
    "state": "text",
    "live": "bool",
    "data": "jsonb",
    "data_error": "text",
    "folded": "bool",
    "held_reason": "text",
    "sender": "text",
}
_DELIVERY_COLUMNS = {
    "id": "uuid",
    "event_id": "uuid",
    "route": "text",
    "destination": "text",
    "action": "text",
    "state": "text",
    "error": "text",
    "delay_s": "float8",
    "due": "bool",
}


_INSERT = f"""
WITH incoming AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(events)s::json) AS e({typed(_EVENT_COLUMNS)})
),
new_key AS (
  INSERT INTO event_keys (source, external_id, fact_key, event_id, fingerprint, first_seen_at)
  SELECT source, external_id, fact_key, id, fingerprint, received_at FROM incoming
  ON CONFLICT DO NOTHING RETURNING event_id
),
event AS (
  INSERT INTO events (id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, data_error, config_version, folded, held_reason, sender)
  SELECT id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, data_error, config_version, folded, held_reason, sender
  FROM incoming JOIN new_key ON new_key.event_id = incoming.id
  RETURNING id, request_id
),
request AS (
  INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, size_bytes,
    signed_by, body, conflict, reason, event_id)
  SELECT r.*, false, NULL, first.id
  FROM ROWS FROM (
    json_to_recordset(%(requests)s::json) AS ({typed(_REQUEST_COLUMNS)}),
    unnest(%(bodies)b::bytea[])
  ) AS r({", ".join(_REQUEST_COLUMNS)}, body)
  JOIN (SELECT DISTINCT ON (request_id) request_id, id FROM event ORDER BY request_id, id) AS first
    ON first.request_id = r.id
),
delivery AS (
  INSERT INTO deliveries (id, event_id, route, destination, action, state, error, created_at,
    since, next_attempt_at, finished_at)
  SELECT d.id, d.event_id, route, destination, action, state, error, now(), now(),
    CASE WHEN due THEN now() + delay_s * interval '1 second' END,
    CASE WHEN NOT due THEN now() END
  FROM json_to_recordset(%(deliveries)s::json) AS d({typed(_DELIVERY_COLUMNS)})
  JOIN new_key ON new_key.event_id = d.event_id
)
SELECT event_id FROM new_key
"""  # noqa: S608


def _request_values(batch: Batch) -> dict[str, Any]:
    return {name: batch.request[name] for name in _REQUEST_COLUMNS}


def _event_values(event: Mapping[str, Any]) -> dict[str, Any]:
    return {**event, "fingerprint": rf"\x{event['fingerprint'].hex()}"}


def _sqlite(connection: Connection, batch: Batch) -> list[UUID]:
    new: set[UUID] = set()
    request = batch.request
    for event in batch.events:
        key = {name: event[name] for name in ("external_id", "fact_key", "fingerprint", "source")}
        inserted = connection.execute(
            sqlite.insert(EventKey)
            .values(key | {"event_id": event["id"], "first_seen_at": event["received_at"]})
            .on_conflict_do_nothing()
            .returning(EventKey.event_id)
        )
        new.update(inserted.scalars())
    if not new:
        return []
    events = [event for event in batch.events if event["id"] in new]
    connection.execute(insert(StoredRequest), request | {"event_id": events[0]["id"]})
    columns = [name for name in events[0] if name not in ("fact_key", "fingerprint")]
    connection.execute(
        insert(StoredEvent), [{name: event[name] for name in columns} for event in events]
    )
    insert_deliveries(connection, [row for row in batch.deliveries if row["event_id"] in new])
    return [event["id"] for event in events]


def insert_deliveries(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert deliveries as `delivery_row` makes them; of one event and route, only the first."""
    if not rows:
        return
    now = connection.scalar(select(database_now()))  # a request taken in again arrived long ago
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
    """Count what was there before, and keep the request itself when nothing in it was new."""
    request = batch.request
    earlier = [event for event in batch.events if event["id"] not in set(new)]
    keys = connection.execute(
        select(EventKey.external_id, EventKey.event_id, EventKey.fingerprint).where(
            EventKey.source == request["source"],
            or_(
                EventKey.external_id.in_({event["external_id"] for event in earlier}),
                EventKey.fact_key.in_(
                    {event["fact_key"] for event in earlier if event["fact_key"]}
                ),
            ),
        )
    ).all()
    mine = {event["id"] for event in batch.events}
    if again := [key.event_id for key in keys if key.event_id in mine and key.event_id not in new]:
        return Stored([*new, *again])  # our own write: its answer was lost on the way
    fingerprints = {event["external_id"]: event["fingerprint"] for event in earlier}
    conflict = any(
        fingerprints.get(key.external_id, key.fingerprint) != key.fingerprint for key in keys
    )
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id.in_({key.event_id for key in keys} - set(new)))
        .values(duplicates=StoredEvent.duplicates + 1)
    )
    reason = "the same id came with another body; the first one stands" if conflict else None
    if new:
        if conflict:
            connection.execute(
                update(StoredRequest)
                .where(StoredRequest.id == request["id"])
                .values(conflict=True, reason=reason)
            )
        return Stored(new, conflict)
    connection.execute(
        insert(StoredRequest),
        request
        | {
            "state": RequestState.DUPLICATE,
            "conflict": conflict,
            "reason": reason,
            "event_id": keys[0].event_id if keys else None,
            "body": request["body"] if conflict else None,
        },
    )
    return Stored([], conflict)
