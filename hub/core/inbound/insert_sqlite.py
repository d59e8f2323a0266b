"""Insert statements of SQLite: store all new events of one or many requests, many rows at a time.

Python's driver lets other threads run in every step of a statement, and waits for its turn
afterwards, while nobody else can write. So the number of statements counts, and a row costs little:
each inserts up to `ROWS_AT_ONCE` rows. They run inside `BEGIN IMMEDIATE`. A duplicate creates
nothing, because only events whose keys were really inserted are stored.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Dialect, bindparam, select, tuple_
from sqlalchemy.dialects import sqlite

from hub.core.inbound.insert_postgresql import Batch
from hub.core.models import (
    Base,
    Delivery,
    EventKey,
    StoredEvent,
    StoredRequest,
    database_now,
)

ROWS_AT_ONCE = 32
# SQLite refuses a statement with many more values.
KEYS_AT_ONCE = 500

_KEY = ("source", "external_id", "fact_key", "event_id", "fingerprint", "first_seen_at")
_REQUEST = ("id", "source", "state", "received_at", "method", "url", "headers", "size_bytes",
            "signed_by", "body", "conflict", "reason", "event_id")  # fmt: skip
_EVENT = ("id", "request_id", "source", "type", "native_type", "external_id", "occurred_at",
          "received_at", "state", "live", "data", "data_error", "config_version", "folded",
          "held_reason", "sender")  # fmt: skip
_DELIVERY = ("id", "event_id", "route", "destination", "action", "state", "error")
_NOW = str(database_now().compile(dialect=sqlite.dialect()))
# Takes a span, `2.5 seconds`; without one there is no time.
_LATER = _NOW.removesuffix(")") + ", ?)"


def insert_new(connection: Connection, batches: Sequence[Batch]) -> list[list[UUID]]:
    """Insert the new events of each batch; return their ids, batch by batch.

    What is no new event is not touched. `connection` must be in a transaction.
    """
    events = [event for batch in batches for event in batch.events]
    new = _insert_keys(connection, events)
    found = [[e["id"] for e in batch.events if e["id"] in new] for batch in batches]
    requests = [
        {**batch.request, "conflict": False, "reason": None, "event_id": ids[0]}
        for batch, ids in zip(batches, found, strict=True)
        if ids
    ]
    _insert(connection, StoredRequest, _REQUEST, requests)
    _insert(connection, StoredEvent, _EVENT, [one for one in events if one["id"] in new])
    deliveries = (row for batch in batches for row in batch.deliveries if row["event_id"] in new)
    _insert(connection, Delivery, _DELIVERY, deliveries, _times_of, ignore=True)
    return found


def _insert_keys(connection: Connection, events: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert the keys of events, and return the ids of the events whose keys are new."""
    rows = [{**one, "event_id": one["id"], "first_seen_at": one["received_at"]} for one in events]
    inserted = _insert(connection, EventKey, _KEY, rows, ignore=True)
    ids = {one["id"] for one in events}
    if inserted == len(rows):
        return ids
    keys = [(one["source"], one["external_id"]) for one in events]
    kept: set[UUID] = set()
    for n in range(0, len(keys), KEYS_AT_ONCE):
        kept.update(connection.execute(_KEPT, {"keys": keys[n : n + KEYS_AT_ONCE]}).scalars())
    return kept & ids


# Events of keys that were inserted just now: one of an earlier write has its event.
_KEPT = (
    select(EventKey.event_id)
    .outerjoin(StoredEvent, StoredEvent.id == EventKey.event_id)
    .where(
        tuple_(EventKey.source, EventKey.external_id).in_(bindparam("keys", expanding=True)),
        StoredEvent.id.is_(None),
    )
)


def _times_of(row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the spans until the delivery is due, and until it is over; None for never."""
    return (f"{row['delay_s']} seconds", None) if row["due"] else (None, "0 seconds")


def _insert(
    connection: Connection,
    table: type[Base],
    columns: tuple[str, ...],
    rows: Iterable[Mapping[str, Any]],
    times_of: Callable[[Mapping[str, Any]], tuple[Any, ...]] | None = None,
    *,
    ignore: bool = False,
) -> int:
    """Insert rows; return how many were. `ignore` leaves out those that are there already."""
    makers = _makers(connection.dialect, table, columns)
    inserted, coming = 0, iter(rows)
    while some := list(islice(coming, ROWS_AT_ONCE)):
        values: list[Any] = []
        for row in some:
            values += [make(row.get(name)) if make else row.get(name) for name, make in makers]
            if times_of is not None:
                values += times_of(row)
        statement = _statement(
            table.__tablename__, columns, len(some), times_of is not None, ignore
        )
        inserted += connection.exec_driver_sql(statement, tuple(values)).rowcount
    return inserted


@lru_cache(maxsize=4 * ROWS_AT_ONCE)
def _statement(
    table: str, columns: tuple[str, ...], count: int, with_times: bool, ignore: bool
) -> str:
    names, places = list(columns), ["?"] * len(columns)
    if with_times:
        names += ["created_at", "since", "next_attempt_at", "finished_at"]
        places += [_NOW, _NOW, _LATER, _LATER]
    rows = ", ".join([f"({', '.join(places)})"] * count)
    end = " ON CONFLICT DO NOTHING" if ignore else ""
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {rows}{end}"  # noqa: S608 - own names


@lru_cache(maxsize=32)
def _makers(
    dialect: Dialect, table: type[Base], columns: tuple[str, ...]
) -> list[tuple[str, Callable[[Any], Any] | None]]:
    """Return the columns, and what makes of a value what the database stores in each."""
    types = ((name, table.__table__.c[name].type) for name in columns)
    return [(name, kind.dialect_impl(dialect).bind_processor(dialect)) for name, kind in types]
