"""The write behind a 2xx: a request, its events and their deliveries, together or not at all.

PostgreSQL takes one statement; a duplicate creates nothing, because everything hangs on the keys
that were really inserted. SQLite takes the same in steps inside `BEGIN IMMEDIATE`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
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
    batch.events.sort(key=lambda event: event["external_id"])  # two batches lock in one order
    insert_new = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    new = insert_new(connection, batch)
    if len(new) == len(batch.events):
        return Stored(new)
    return _count_duplicates(connection, batch, new)


_EVENT_COLUMNS = {
    "id": "uuid",
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


def _rows(name: str, columns: Mapping[str, str]) -> str:
    """Return the rows of a JSON array; one parameter is cheaper to send than an array a column."""
    typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"json_to_recordset(%({name})s::json) AS t({typed})"


_INSERT = f"""
WITH incoming AS MATERIALIZED (SELECT * FROM {_rows("events", _EVENT_COLUMNS)}),
new_key AS (
  INSERT INTO event_keys (source, external_id, fact_key, event_id, fingerprint, first_seen_at)
  SELECT %(source)s, external_id, fact_key, id, fingerprint, %(received_at)s FROM incoming
  ON CONFLICT DO NOTHING RETURNING event_id
),
request AS (
  INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, body,
    size_bytes, signed_by, conflict, reason, event_id)
  SELECT %(id)s, %(source)s, %(state)s, %(received_at)s, %(method)s, %(url)s, %(headers)s::jsonb,
    %(body)s, %(size_bytes)s, %(signed_by)s, false, NULL, (SELECT event_id FROM new_key LIMIT 1)
  WHERE EXISTS (SELECT FROM new_key)
),
event AS (
  INSERT INTO events (id, request_id, source, type, native_type, external_id, occurred_at,
    received_at, state, live, data, data_error, config_version, folded, held_reason, sender)
  SELECT id, %(id)s, %(source)s, type, native_type, external_id, occurred_at,
    %(received_at)s, state, live, data, data_error, %(config_version)s, folded, held_reason, sender
  FROM incoming JOIN new_key ON new_key.event_id = incoming.id
),
delivery AS (
  INSERT INTO deliveries (id, event_id, route, destination, action, state, error, created_at,
    since, next_attempt_at, finished_at)
  SELECT t.id, t.event_id, route, destination, action, state, error, now(), now(),
    CASE WHEN due THEN now() + delay_s * interval '1 second' END,
    CASE WHEN NOT due THEN now() END
  FROM {_rows("deliveries", _DELIVERY_COLUMNS)} JOIN new_key ON new_key.event_id = t.event_id
)
SELECT event_id FROM new_key
"""  # noqa: S608


def _postgresql(connection: Connection, batch: Batch) -> list[UUID]:
    parameters = batch.request | {
        "config_version": batch.events[0]["config_version"],
        "headers": _json(batch.request["headers"]),
        "events": _json(
            [e | {"fingerprint": rf"\x{e['fingerprint'].hex()}"} for e in batch.events]
        ),
        "deliveries": _json(batch.deliveries),
    }
    return list(connection.exec_driver_sql(_INSERT, parameters).scalars())


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


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
