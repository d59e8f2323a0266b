"""Inbound requests: list and details for the command line."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from hub.core.models import StoredRequest
from hub.core.queries.rows import Json, Page, json_of, page_of
from hub.core.text import matches

LISTED = (
    "id", "source", "state", "received_at", "size_bytes", "signed_by", "conflict", "reason",
    "event_id",
)  # fmt: skip
SHOWN = (*LISTED, "method", "url", "headers", "body", "body_deleted_at")


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Filter of requests: None sets no condition. `source` may be a glob: `shop-*`."""

    source: str | None = None
    state: str | None = None


def list_requests(
    connection: Connection, filters: RequestFilter, *, limit: int, before: UUID | None = None
) -> Page[Row[Any]]:
    """Return a page of requests, newest first; `request_json` gives the JSON form of a row."""
    statement = select(*[getattr(StoredRequest, name) for name in LISTED])
    if filters.source is not None:
        statement = statement.where(matches(StoredRequest.source, filters.source))
    if filters.state is not None:
        statement = statement.where(StoredRequest.state == filters.state)
    if before:
        statement = statement.where(StoredRequest.id < before)
    statement = statement.order_by(StoredRequest.id.desc()).limit(limit + 1)
    return page_of(connection.execute(statement).all(), limit)


def find_request(connection: Connection, request_id: UUID) -> Json | None:
    """Return a request as JSON, with its headers and its body as bytes; None if there is none.

    `body_deleted_at` is there only if retention has deleted the body.
    """
    columns = [getattr(StoredRequest, name) for name in SHOWN]
    found = connection.execute(select(*columns).where(StoredRequest.id == request_id)).one_or_none()
    if found is None:
        return None
    row = json_of(found, SHOWN)
    return (
        row if found.body_deleted_at else {k: v for k, v in row.items() if k != "body_deleted_at"}
    )


def request_json(row: Row[Any]) -> Json:
    """Return the JSON form of a row of `list_requests`."""
    return json_of(row, LISTED)
