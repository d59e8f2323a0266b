"""Ingest of requests that the receiver prepared: one write, and a verdict for every request.

A request that verifies is always stored, whether it can be parsed or not; of bytes that come again
the first are. A request that does not verify leaves a trace, as long as the byte budget of its
source lasts; the web process limits how many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from adapters import Event, InboundRequest
from adapters.contract.strict_json import storable
from hub.core.event_kinds import is_feedback
from hub.core.ids import new_id
from hub.core.inbound import insert as ingest_store
from hub.core.inbound.address_secrets import NO_SECRETS, NOT_KEPT, SourceSecrets, kept_address
from hub.core.inbound.byte_budget import (
    commit_without_disk,
    note_over_budget,
    stored_bytes,
    take,
)
from hub.core.inbound.header_limit import limit_headers, limit_url
from hub.core.inbound.insert_postgresql import Batch
from hub.core.inbound.routing import Match
from hub.core.models import DeliveryState, RequestState, StoredRequest
from hub.core.models.body_encoding import encode_body

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

    @property
    def destinations(self) -> set[str]:
        """Destinations that have due work once this is stored."""
        rows = self.batch.deliveries if self.batch else []
        return {row["destination"] for row in rows if row["due"]}

    @property
    def needs_projection(self) -> bool:
        """Whether an event has a projection that a worker runs afterwards."""
        return self.batch is not None and not all(one["folded"] for one in self.batch.events)


def ingest(connection: Connection, prepared: PreparedRequest) -> IngestResult:
    """Store a request with its events and deliveries; `ingest_all` with a list of one."""
    return ingest_all(connection, [prepared])[0]


def ingest_all(
    connection: Connection, requests: Sequence[PreparedRequest]
) -> Sequence[IngestResult]:
    """Store requests with their events and deliveries; return a result for each, in their order.

    Must be called in a transaction.
    """
    readable = [one.batch for one in requests if one.batch is not None]
    stored = iter(ingest_store.insert_batches(connection, readable))
    return [
        _store_unreadable(connection, one) if one.batch is None else _result_of(one, next(stored))
        for one in requests
    ]


def ingest_new(
    connection: Connection, requests: Sequence[PreparedRequest]
) -> Sequence[IngestResult | None]:
    """Store what is new in requests; return a result for each, None where an event came before.

    Those, and what makes no event, are then to be given to `ingest_known`. On PostgreSQL what is
    new in all of them is one statement, so `connection` may be in autocommit.
    """
    batches = [one.batch for one in requests if one.batch is not None]
    new = {event_id for ids in ingest_store.insert_new(connection, batches) for event_id in ids}
    return [result_if_new(one, new) for one in requests]


def ingest_known(connection: Connection, prepared: PreparedRequest) -> IngestResult:
    """Store a request that makes no event or whose events came before, or only count those.

    Must be called after `ingest_new`, in a transaction of its own: so it is one commit. If no more
    than counters change, that waits for no disk: what a crash may lose are counts of an event that
    is stored.
    """
    if prepared.batch is None:
        return _store_unreadable(connection, prepared)
    # What is new of it is found as its own.
    stored = ingest_store.insert_known(connection, prepared.batch, [])
    if stored.is_counted:
        commit_without_disk(connection)
    return _result_of(prepared, stored)


def result_if_new(prepared: PreparedRequest, new: set[UUID]) -> IngestResult | None:
    """Return the result of a request whose events are all among the new ones; else None.

    For a write that stored them without `ingest_new`, which is then to be called for the others.
    """
    ids = [event["id"] for event in prepared.batch.events] if prepared.batch else []
    return (
        _result_of(prepared, ingest_store.Stored(ids))
        if ids and all(one in new for one in ids)
        else None
    )


def _store_unreadable(connection: Connection, prepared: PreparedRequest) -> IngestResult:
    row = prepared.row | {"state": RequestState.UNREADABLE, "reason": prepared.reason}
    ingest_store.store_whole(connection, row)
    return IngestResult(row["id"], RequestState.UNREADABLE)


def _result_of(prepared: PreparedRequest, stored: ingest_store.Stored) -> IngestResult:
    state = RequestState.ACCEPTED if stored.new_event_ids else RequestState.DUPLICATE
    request_id = prepared.row["id"]
    return IngestResult(request_id, state, prepared.events, stored.new_event_ids, stored.conflict)


def store_rejected(
    connection: Connection,
    *,
    source: str,
    request: InboundRequest,
    reason: str,
    secrets: SourceSecrets = NO_SECRETS,
    keeps_body: bool = True,
) -> UUID | None:
    """Store the trace of a request that did not verify, so that it can be verified again.

    Return its id; None, and count it, if it is beyond the byte budget of its source. A body of more
    than `MAX_TRACE_BYTES` is not stored, nor without `keeps_body`; long headers are cut, and
    `secrets`, those of the source, are masked in the address. Must be called in a transaction of
    its own.
    """
    row = new_request_row(source, request, signed_by=None, secrets=secrets)
    if row["url"] != request.url:
        reason = f"{reason}; {NOT_KEPT}"
    row |= {"headers": limit_headers(row["headers"]), "url": limit_url(row["url"])}
    if not keeps_body or len(request.body) > MAX_TRACE_BYTES:
        row["body"] = None
    if not take(connection, source, stored_bytes(row), now=request.received_at):
        note_over_budget(connection, source, now=request.received_at)
        commit_without_disk(connection)
        return None
    connection.execute(
        insert(StoredRequest), row | {"state": RequestState.REJECTED, "reason": reason}
    )
    request_id: UUID = row["id"]
    return request_id


def new_request_row(
    source: str,
    request: InboundRequest,
    *,
    signed_by: str | None,
    secrets: SourceSecrets = NO_SECRETS,
) -> dict[str, Any]:
    """Return the row of an inbound request: everything but its credentials; its body is plain.

    `secrets` are those of the source, which its address may hold.
    """
    kept = kept_address(request, secrets)
    headers = {n: v for n, v in kept.headers.items() if n not in DROPPED_HEADERS}
    return {
        "id": new_id(request.received_at),
        "source": source,
        "state": RequestState.ACCEPTED,
        "received_at": request.received_at,
        "method": request.method,
        "url": kept.url,
        "headers": storable(headers)[0],
        "body": encode_body(request.body, compress=False),
        "size_bytes": len(request.body),
        "signed_by": signed_by,
        "conflict": False,
        "reason": None,
        "event_id": None,
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
