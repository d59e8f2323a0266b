"""Event rows of lists: their filter, their columns, and their deliveries counted by state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Row,
    Select,
    Uuid,
    any_,
    case,
    func,
    literal,
    select,
)

from hub.core.models import Delivery, StoredEvent
from hub.core.queries.rows import Json, json_of
from hub.core.search.search import Query
from hub.core.text import matches

SMALL_BYTES = 16 * 1024
MOST_TYPES = 200
# Canonical fields that the one-sentence summary of an event may name.
SUMMARY_FIELDS = ("name", "email", "phone", "amount", "currency", "subject", "from", "to", "reason",
         "status", "number", "plan")  # fmt: skip
# JSON names of an event row; `contact` is the id of its contact.
LISTED = ("id", "type", "native_type", "source", "external_id", "occurred_at", "received_at",
          "state", "live", "contact", "duplicates", "backfilled")  # fmt: skip
# Leading columns of a result row; each is a field of `EventRow`.
_COLUMNS = ("id", "type", "native_type", "source", "external_id", "occurred_at", "received_at",
            "state", "live", "contact_id", "duplicates", "backfilled")  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventRow:
    """Event row of a list; `data` has the `SUMMARY_FIELDS`, `deliveries` the counts by state."""

    id: UUID
    type: str
    native_type: str
    source: str
    external_id: str
    occurred_at: datetime
    received_at: datetime
    state: str
    live: bool
    contact_id: UUID | None
    duplicates: int
    backfilled: bool
    data: Mapping[str, Any] = field(repr=False)
    deliveries: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Return the JSON form of the row, as printed by `hub events --json`."""
        return json_of(self, LISTED, contact="contact_id")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Filter of events: all conditions must hold, None sets none. Texts may be globs: `payment.*`.

    `since` (inclusive) and `until` (exclusive) apply to the time at which an event arrived.
    """

    source: str | None = None
    type: str | None = None
    state: str | None = None
    external_id: str | None = None
    contact: UUID | None = None
    live: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    query: Query | None = None

    def conditions(self, columns: Any) -> list[ColumnElement[bool]]:
        """Return the conditions on an event's columns, without the times and the search query."""
        wanted = [
            matches(getattr(columns, name), text)
            for name in ("source", "type", "state", "external_id")
            if (text := getattr(self, name)) is not None
        ]
        if self.contact is not None:
            wanted.append(columns.contact_id == self.contact)
        if self.live is not None:
            wanted.append(columns.live == self.live)
        return wanted


def select_event_rows(connection: Connection, columns: Any) -> Select[Any]:
    """Return the SELECT of event rows; `data` is NULL, and `large` true, for a large event.

    Data above `SMALL_BYTES` is not read with the row: `event_row` reads single fields of it.
    """
    size = func.pg_column_size if connection.dialect.name == "postgresql" else func.length
    large = size(columns.data) > SMALL_BYTES
    data = case((~large, columns.data), else_=None).label("data")
    return select(*[getattr(columns, one) for one in _COLUMNS], data, large.label("large"))


def is_one_of(connection: Connection, column: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these ids.

    On PostgreSQL they are one array parameter, so that the statement is the same for any number.
    """
    if connection.dialect.name != "postgresql":
        return cast(ColumnElement[bool], column.in_(ids))
    return cast(ColumnElement[bool], column == any_(literal(list(ids), ARRAY(Uuid))))


def event_row(connection: Connection, row: Row[Any]) -> EventRow:
    """Return the event row of a result row of `select_event_rows`."""
    told = _few(connection, row.id) if row.large else row.data or {}
    data = {name: told[name] for name in SUMMARY_FIELDS if told.get(name) is not None}
    return EventRow(**dict(zip(_COLUMNS, row, strict=False)), data=data)


def _few(connection: Connection, event_id: UUID) -> dict[str, Any]:
    """Return the summary fields of one large event."""
    columns = [StoredEvent.data[name].label(f"told_{name}") for name in SUMMARY_FIELDS]
    row = connection.execute(select(*columns).where(StoredEvent.id == event_id)).one()
    return dict(zip(SUMMARY_FIELDS, row, strict=True))


def event_json(connection: Connection, event_id: UUID) -> Json | None:
    """Return an event as JSON, with its data and its request's id; None if there is none."""
    more = ("data", "data_error", "config_version", "request_id", "held_reason")
    columns = [getattr(StoredEvent, name) for name in (*_COLUMNS, *more)]
    found = connection.execute(select(*columns).where(StoredEvent.id == event_id)).one_or_none()
    return json_of(found, (*LISTED, *more), contact="contact_id") if found else None


def add_delivery_counts(connection: Connection, rows: Sequence[EventRow]) -> list[EventRow]:
    """Return the rows with the number of deliveries of each, by state."""
    if not rows:
        return []
    counted: dict[UUID, dict[str, int]] = {}
    for event_id, state, count in connection.execute(
        select(Delivery.event_id, Delivery.state, func.count())
        .where(is_one_of(connection, Delivery.event_id, [row.id for row in rows]))
        .group_by(Delivery.event_id, Delivery.state)
    ):
        counted.setdefault(event_id, {})[state] = count
    return [replace(row, deliveries=counted.get(row.id, {})) for row in rows]


def newest_id(connection: Connection) -> UUID | None:
    """Return the id of the newest event; None if there is none."""
    newest = select(StoredEvent.id).order_by(StoredEvent.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()


def _types_seen() -> Select[str | None]:
    """Return a SELECT of the distinct types: a recursive CTE, with one index look-up per type."""
    first = select(func.min(StoredEvent.type).label("type")).cte("seen", recursive=True)
    later = select(func.min(StoredEvent.type)).where(StoredEvent.type > first.c.type)
    seen = first.union_all(select(later.scalar_subquery()).where(first.c.type.is_not(None)))
    return select(seen.c.type).limit(MOST_TYPES)


_TYPES_SEEN = _types_seen()


def types_seen(connection: Connection) -> list[str]:
    """Return the types of all stored events, sorted; at most the first `MOST_TYPES`."""
    rows = connection.execute(_TYPES_SEEN).scalars()
    return [one for one in rows if one is not None]
