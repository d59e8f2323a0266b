"""Rows in the shape of `--json`, read without starting a process."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from hub.core.queries.deliveries import list_deliveries
from hub.core.queries.event_rows import EventFilter
from hub.core.queries.events import list_events
from hub.core.queries.requests import RequestFilter, list_requests, request_json
from hub.core.queries.rows import MOST_ROWS, first_rows
from hub.core.replays.selection import selection_of


def request_rows(
    connection: Connection, *, limit: int = MOST_ROWS, **filters: Any
) -> list[dict[str, Any]]:
    page = list_requests(connection, RequestFilter(**filters), limit=limit)
    return [request_json(row) for row in page.rows]


def event_rows(
    connection: Connection, *, limit: int = MOST_ROWS, before: UUID | None = None, **filters: Any
) -> list[dict[str, Any]]:
    found = first_rows(
        lambda most, below: list_events(
            connection, EventFilter(**filters), most=most, before=below
        ),
        limit=limit,
        before=before,
    )
    return [row.as_json() for row in found]


def delivery_rows(
    connection: Connection, *, limit: int = MOST_ROWS, **filters: Any
) -> list[dict[str, Any]]:
    selection = selection_of(filters)
    found = first_rows(
        lambda most, below: list_deliveries(connection, selection, limit=most, before=below),
        limit=limit,
    )
    return [row.as_json() for row in found]
