"""Ingest of requests: verify, parse and match, then one write; every request gets a verdict.

A request that verifies is always stored, whether it can be parsed or not. A request that does not
verify leaves a trace; the web process limits how many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from adapters import Event, Inbound, InboundRequest, Unreadable
from adapters.contract.strict_json import storable
from hub.core.configuration import Source
from hub.core.event_kinds import is_feedback
from hub.core.ids import new_id
from hub.core.inbound import insert as ingest_store
from hub.core.inbound.insert_postgresql import Batch
from hub.core.inbound.routing import Match, Router
from hub.core.models import DeliveryState, EventState, RequestState, StoredRequest, insert_if_new

DROPPED_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
IDENTITY_FIELDS = ("email", "phone", "customer_id")
MAX_TRACE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Result of an ingest: the request's verdict, its events, and the ids of the new ones."""

    request_id: UUID
    state: RequestState
    events: Sequence[Event] = ()
    new_event_ids: Sequence[UUID] = ()
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """Verified request, ready to be stored. Its ids are fixed, so storing it twice is harmless.

    `batch` is None if the request is unreadable; `reason` then says why.
    """

    row: dict[str, Any]
    events: Sequence[Event] = ()
    batch: Batch | None = None
    reason: str = ""


def prepare_request(
    *,
    source: Source,
    adapter: Inbound,
    router: Router,
    request: InboundRequest,
    signed_by: str | None = None,
) -> PreparedRequest:
    """Verify, parse and match a request, in memory.

    `signed_by` is the label of the secret if the request was verified before.

    Raises:
        NotVerified: the request does not verify; `store_rejected` keeps a trace of it.
    """
    signed_by = signed_by or adapter.verify(request)
    row = new_request_row(source.slug, request, signed_by=signed_by)
    try:
        events = adapter.parse(request)
    except Unreadable as error:
        return PreparedRequest(row, reason=str(error))
    if not events:
        return PreparedRequest(row, reason="there is no event in it")
    batch = Batch(
        request=row,
        events=[_event_row(event, row, router.version) for event in events],
        deliveries=[],
    )
    for event, event_row in zip(events, batch.events, strict=True):
        matches = router.match(
            event,
            event_id=event_row["id"],
            source=source.slug,
            received_at=request.received_at,
        )
        if event.incomplete:
            event_row["state"] = EventState.INCOMPLETE
            # The event is projected once it is complete.
            event_row["folded"] = True
        elif matches:
            event_row["state"] = EventState.MATCHED
        batch.deliveries.extend(new_delivery_row(match, event_row) for match in matches)
    return PreparedRequest(row, events, batch)


def ingest(connection: Connection, prepared: PreparedRequest) -> IngestResult:
    """Store a request with its events and deliveries; return the result.

    On PostgreSQL the write is one statement, so `connection` may be in autocommit; on SQLite it
    must be in a transaction.
    """
    row = prepared.row
    if prepared.batch is None:
        unreadable = row | {"state": RequestState.UNREADABLE, "reason": prepared.reason}
        connection.execute(insert_if_new(connection, StoredRequest), unreadable)
        return IngestResult(row["id"], RequestState.UNREADABLE)
    return result_of(prepared, ingest_store.insert_batch(connection, prepared.batch))


def result_of(prepared: PreparedRequest, stored: ingest_store.Stored) -> IngestResult:
    """Return the ingest result of a readable request."""
    state = RequestState.ACCEPTED if stored.new_event_ids else RequestState.DUPLICATE
    request_id = prepared.row["id"]
    return IngestResult(request_id, state, prepared.events, stored.new_event_ids, stored.conflict)


def store_rejected(
    connection: Connection, *, source: str, request: InboundRequest, reason: str
) -> UUID:
    """Store the trace of a request that did not verify, so that it can be verified again.

    Return its id. A body of more than `MAX_TRACE_BYTES` is not stored.
    """
    row = new_request_row(source, request, signed_by=None)
    if len(request.body) > MAX_TRACE_BYTES:
        row["body"] = None
    connection.execute(
        insert(StoredRequest), row | {"state": RequestState.REJECTED, "reason": reason}
    )
    request_id: UUID = row["id"]
    return request_id


def new_request_row(
    source: str, request: InboundRequest, *, signed_by: str | None
) -> dict[str, Any]:
    """Return the row of an inbound request: everything but its credentials."""
    headers = {n: v for n, v in request.headers.items() if n not in DROPPED_HEADERS}
    return {
        "id": new_id(request.received_at),
        "source": source,
        "state": RequestState.ACCEPTED,
        "received_at": request.received_at,
        "method": request.method,
        "url": request.url,
        "headers": storable(headers)[0],
        "body": request.body,
        "size_bytes": len(request.body),
        "signed_by": signed_by,
        "conflict": False,
        "reason": None,
        "event_id": None,
    }


def _event_row(event: Event, request: Mapping[str, Any], version: str) -> dict[str, Any]:
    canonical = {name: value for name, value in event.data.items() if name != "native"}
    data, data_error = storable(canonical)
    return {
        "id": new_id(request["received_at"]),
        "request_id": request["id"],
        "source": request["source"],
        "type": event.type,
        "native_type": event.native_type,
        "external_id": event.external_id,
        "fact_key": event.fact_key,
        "fingerprint": event.fingerprint,
        "occurred_at": event.occurred_at,
        "received_at": request["received_at"],
        "state": EventState.UNMATCHED,
        "live": event.live,
        "data": data,
        "data_error": data_error,
        "config_version": version,
        "folded": not needs_projection(event.type, canonical),
    }


def needs_projection(event_type: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event has a projection to contacts, deliveries or leads.

    True if it has contact fields, or may be a status callback or an acknowledgement.
    """
    return any(name in data for name in IDENTITY_FIELDS) or is_feedback(event_type, data)


def new_delivery_row(match: Match, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the delivery row of one match; `delay_s` is measured by the database's clock."""
    return {
        "id": new_id(event["received_at"]),
        "event_id": event["id"],
        "route": match.route.name,
        "destination": match.route.destination,
        "action": match.route.action,
        "state": match.state,
        "error": match.error,
        "delay_s": match.route.delay_s,
        "due": match.state != DeliveryState.FAILED,
    }
