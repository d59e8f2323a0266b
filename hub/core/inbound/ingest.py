"""The way in: verify, parse, match, then one write; whatever a webhook is, it gets a verdict.

A request that verifies is always stored, whether it can be read or not. What does not verify
leaves a trace that the edge bounds.
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
    """What became of a request: its verdict, and the events that are new with it."""

    request_id: UUID
    state: RequestState
    events: Sequence[Event] = ()
    new_event_ids: Sequence[UUID] = ()
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A verified request, ready to be stored; twice is as good as once, its ids are fixed.

    `batch` is None for what cannot be read; `reason` then says why.
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
    """Verify, parse and match a request, in memory. `signed_by`: it was verified before.

    Raises:
        NotVerified: `store_rejected` keeps a trace.
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
            event_row["folded"] = True  # it is folded once it is complete
        elif matches:
            event_row["state"] = EventState.MATCHED
        batch.deliveries.extend(new_delivery_row(match, event_row) for match in matches)
    return PreparedRequest(row, events, batch)


def ingest(connection: Connection, prepared: PreparedRequest) -> IngestResult:
    """Store a request and all that follows from it, and say what became of it.

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
    """Return what became of a request that could be read."""
    state = RequestState.ACCEPTED if stored.new_event_ids else RequestState.DUPLICATE
    request_id = prepared.row["id"]
    return IngestResult(request_id, state, prepared.events, stored.new_event_ids, stored.conflict)


def store_rejected(
    connection: Connection, *, source: str, request: InboundRequest, reason: str
) -> UUID:
    """Keep the trace of a request that did not verify, so that it can be verified again."""
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
    """Return a request as its table keeps it: all of it but credentials."""
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
    """Return whether an event says who it is about, what became of something we sent, or who
    takes a lead.
    """
    return any(name in data for name in IDENTITY_FIELDS) or is_feedback(event_type, data)


def new_delivery_row(match: Match, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the delivery of one match; `delay_s` is measured by the database's clock."""
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
