"""Insert statement of PostgreSQL: stores all new events of one or many requests at once.

Its rows arrive as JSON that it reads like tables: one parameter is cheaper to send than an array
per column, and one statement is cheaper than one per row. A duplicate creates nothing, because
every insert depends on the keys that were really inserted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one request. `deliveries` refer to their event by `event_id`.

    `is_stored`: the same request is in the database already, under another id.
    """

    request: dict[str, Any]
    events: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    is_stored: bool = False


def insert_new(connection: Connection, batches: Sequence[Batch]) -> list[list[UUID]]:
    """Insert the new events of each batch in one statement; return their ids, batch by batch.

    What is no new event is not touched.
    """
    new = set(connection.exec_driver_sql(INSERT_NEW, insert_values(batches)).scalars())
    return [[e["id"] for e in batch.events if e["id"] in new] for batch in batches]


def insert_values(batches: Sequence[Batch]) -> Mapping[str, Any]:
    """Return the values of `INSERT_NEW`: JSON texts, and bodies in the order of the requests."""
    events = [
        _event_values(event, place) for batch in batches for place, event in enumerate(batch.events)
    ]
    events.sort(key=_locking)
    return {
        "events": _json(events),
        "requests": _json([_request_values(batch) for batch in batches]),
        "bodies": [batch.request["body"] for batch in batches],
        "deliveries": _json([row for batch in batches for row in batch.deliveries]),
    }


def _locking(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the sort key of an event: all writes lock event keys in this one order."""
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
    "place": "int",
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


def _typed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{column} {kind}" for column, kind in columns.items())


# Statement with psycopg's parameters; it yields the ids of the new events.
INSERT_NEW = f"""
WITH incoming AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(events)s::json) AS e({_typed(_EVENT_COLUMNS)})
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
),
request AS (
  INSERT INTO inbound_requests (id, source, state, received_at, method, url, headers, size_bytes,
    signed_by, body, conflict, reason, event_id)
  SELECT r.*, false, NULL, first.id
  FROM ROWS FROM (
    json_to_recordset(%(requests)s::json) AS ({_typed(_REQUEST_COLUMNS)}),
    unnest(%(bodies)b::bytea[])
  ) AS r({", ".join(_REQUEST_COLUMNS)}, body)
  JOIN (
    SELECT DISTINCT ON (request_id) request_id, id
    FROM incoming JOIN new_key ON new_key.event_id = incoming.id ORDER BY request_id, place
  ) AS first ON first.request_id = r.id
),
delivery AS (
  INSERT INTO deliveries (id, event_id, route, destination, action, state, error, created_at,
    since, next_attempt_at, finished_at)
  SELECT d.id, d.event_id, route, destination, action, state, error, now(), now(),
    CASE WHEN due THEN now() + delay_s * interval '1 second' END,
    CASE WHEN NOT due THEN now() END
  FROM json_to_recordset(%(deliveries)s::json) AS d({_typed(_DELIVERY_COLUMNS)})
  JOIN new_key ON new_key.event_id = d.event_id
)
SELECT event_id FROM new_key
"""  # noqa: S608 - names of our own columns; values are parameters


def _request_values(batch: Batch) -> dict[str, Any]:
    return {name: batch.request[name] for name in _REQUEST_COLUMNS}


def _event_values(event: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {**event, "place": place, "fingerprint": rf"\x{event['fingerprint'].hex()}"}


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
