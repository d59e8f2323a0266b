"""Lists that a person pages through: newest first, by key and not by offset, as plain rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from adapters.contract.fields import rfc3339
from hub.core.models import (
    Alert,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    StoredEvent,
    StoredRequest,
)

MOST_ROWS = 1000

Row = dict[str, Any]

_REQUEST = (
    StoredRequest.id,
    StoredRequest.source,
    StoredRequest.state,
    StoredRequest.received_at,
    StoredRequest.size_bytes,
    StoredRequest.signed_by,
    StoredRequest.conflict,
    StoredRequest.reason,
    StoredRequest.event_id,
)
_EVENT = (
    StoredEvent.id,
    StoredEvent.type,
    StoredEvent.native_type,
    StoredEvent.source,
    StoredEvent.external_id,
    StoredEvent.occurred_at,
    StoredEvent.received_at,
    StoredEvent.state,
    StoredEvent.live,
    StoredEvent.contact_id.label("contact"),
    StoredEvent.duplicates,
    StoredEvent.backfilled,
)
_DELIVERY = (
    Delivery.id,
    Delivery.event_id,
    Delivery.route,
    Delivery.destination,
    Delivery.action,
    Delivery.state,
    Delivery.attempts,
    Delivery.next_attempt_at,
    Delivery.error,
    Delivery.provider_ref,
    Delivery.status,
    Delivery.sandbox,
)
_ATTEMPT = (
    Attempt.id,
    Attempt.n,
    Attempt.key,
    Attempt.state,
    Attempt.sandbox,
    Attempt.started_at,
    Attempt.ended_at,
    Attempt.status,
    Attempt.code,
    Attempt.message,
    Attempt.provider_ref,
    Attempt.closed_by,
    Attempt.evidence,
    Attempt.parameters,
    Attempt.request,
)


def list_requests(
    connection: Connection, *, filters: Mapping[str, Any], limit: int, before: UUID | None = None
) -> list[Row]:
    """Return inbound requests; filters: `source state event_id`."""
    return _page(connection, select(*_REQUEST), StoredRequest, filters, limit, before)


def list_events(
    connection: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int,
    before: UUID | None = None,
    since: datetime | None = None,
    ids: Sequence[UUID] | None = None,
) -> list[Row]:
    """Return events, these `ids` alone if given; filters: `source type state live external_id
    contact_id`.
    """
    statement = select(*_EVENT)
    if ids is not None:
        statement = statement.where(StoredEvent.id.in_(ids))
    if since:
        statement = statement.where(StoredEvent.received_at >= since)
    return _page(connection, statement, StoredEvent, filters, limit, before)


def list_deliveries(
    connection: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int,
    before: UUID | None = None,
) -> list[Row]:
    """Return deliveries; filters: `state destination route event_id`."""
    return _page(connection, select(*_DELIVERY), Delivery, filters, limit, before)


def list_unknown(
    connection: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int,
    before: UUID | None = None,
) -> list[Row]:
    """Return deliveries whose outcome nobody knows, with when it was sent and the evidence."""
    open_attempt = (Attempt.delivery_id == Delivery.id) & (Attempt.state == AttemptState.UNKNOWN)
    statement = (
        select(
            *_DELIVERY,
            Attempt.started_at.label("sent_at"),
            Attempt.looked_at,
            Attempt.absences,
            Attempt.evidence,
        )
        .outerjoin(Attempt, open_attempt)
        .where(Delivery.state == DeliveryState.UNKNOWN)
    )
    return _page(connection, statement, Delivery, filters, limit, before)


def list_alerts(
    connection: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int,
    before: UUID | None = None,
    ended: bool = False,
) -> list[Row]:
    """Return alerts, those that last alone unless `ended`; filters: `kind subject`."""
    columns = (Alert.id, Alert.kind, Alert.subject, Alert.message, Alert.began_at, Alert.ended_at)
    statement = select(*columns)
    if not ended:
        statement = statement.where(Alert.ended_at.is_(None))
    return _page(connection, statement, Alert, filters, limit, before)


def event_row(connection: Connection, event_id: UUID) -> Row | None:
    """Return an event with its canonical data and its request's id; None when there is none."""
    columns = (*_EVENT, StoredEvent.data, StoredEvent.data_error, StoredEvent.config_version,
               StoredEvent.request_id, StoredEvent.held_reason)  # fmt: skip
    return _one(connection, select(*columns).where(StoredEvent.id == event_id))


def delivery_row(connection: Connection, delivery_id: UUID) -> Row | None:
    """Return a delivery; None when there is none."""
    return _one(connection, select(*_DELIVERY).where(Delivery.id == delivery_id))


def request_row(connection: Connection, request_id: UUID) -> Row | None:
    """Return an inbound request with headers and body (bytes); None when there is none."""
    columns = (*_REQUEST, StoredRequest.method, StoredRequest.url, StoredRequest.headers,
               StoredRequest.body)  # fmt: skip
    return _one(connection, select(*columns).where(StoredRequest.id == request_id))


def attempts_of(connection: Connection, delivery_id: UUID) -> list[Row]:
    """Return the attempts of a delivery, the first one first."""
    statement = select(*_ATTEMPT).where(Attempt.delivery_id == delivery_id).order_by(Attempt.n)
    return [_plain(row._mapping) for row in connection.execute(statement)]


def _page(
    connection: Connection,
    statement: Any,
    table: Any,
    filters: Mapping[str, Any],
    limit: int,
    before: UUID | None,
) -> list[Row]:
    for name, wanted in filters.items():
        if wanted is None:
            continue
        column = getattr(table, name)
        if isinstance(wanted, str) and "*" in wanted:
            pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            statement = statement.where(column.like(pattern.replace("*", "%"), escape="\\"))
        else:
            statement = statement.where(column == wanted)
    if before:
        statement = statement.where(table.id < before)
    statement = statement.order_by(table.id.desc()).limit(min(limit, MOST_ROWS))
    return [_plain(row._mapping) for row in connection.execute(statement)]


def _one(connection: Connection, statement: Any) -> Row | None:
    row = connection.execute(statement).one_or_none()
    return _plain(row._mapping) if row else None


def _plain(row: Any) -> Row:
    return {name: _plain_value(value) for name, value in row.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return value


def open_deliveries(connection: Connection, event_ids: Sequence[UUID]) -> int:
    """Return how many deliveries of these events are still on their way."""
    states = ("waiting", "pending", "running", "retrying")
    statement = select(Delivery.id).where(
        Delivery.event_id.in_(event_ids), Delivery.state.in_(states)
    )
    return len(connection.execute(statement).all())
