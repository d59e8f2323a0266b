"""Re-ingest of stored requests: unreadable ones are parsed again, rejected ones verified again."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, Row, delete, select, update

from adapters import InboundRequest, Reply
from hub.core.errors import NotFound, Refused
from hub.core.hub import Hub
from hub.core.inbound.address_secrets import MARK, NOT_KEPT
from hub.core.inbound.header_limit import StoredHeaders, cut_sentence
from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest
from hub.core.inbound.receive import Refusal
from hub.core.models import RequestState, StoredRequest
from hub.core.rehydrate import body_words, stored_request


def reingest(connection: Connection, hub: Hub, request_id: UUID) -> IngestResult:
    """Verify a stored request as of the time it arrived, parse it, and ingest it.

    The row that ingest writes replaces the stored one. Must be called in a transaction.

    Raises:
        NotFound: there is no such request, or its source is gone from hub.yaml.
        Refused: it was accepted already, its body was not kept, or it still cannot be taken in.
    """
    row = connection.execute(
        select(StoredRequest.__table__).where(StoredRequest.id == request_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no request {request_id}")
    if row.state not in (RequestState.UNREADABLE, RequestState.REJECTED):
        raise Refused(f"it is {row.state}: replay its event or deliveries")
    if row.body is None:
        raise Refused(f"its body {body_words(row.body_deleted_at)}")
    source = hub.configuration.sources.get(row.source)
    if source is None or not source.enabled:
        raise NotFound(f"there is no source {row.source} in hub.yaml")
    prepared = _prepared(hub, row)
    if prepared.batch is None:
        connection.execute(
            update(StoredRequest)
            .where(StoredRequest.id == request_id)
            .values(state=RequestState.UNREADABLE, reason=prepared.reason)
        )
        return IngestResult(request_id, RequestState.UNREADABLE)
    batch = replace(prepared.batch, is_stored=True)
    ingested = ingest(connection, replace(prepared, batch=batch))
    connection.execute(delete(StoredRequest).where(StoredRequest.id == request_id))
    return ingested


def _prepared(hub: Hub, row: Row[Any]) -> PreparedRequest:
    """Verify and parse a request, under the hub's current address or else under the original one.

    Raises:
        Refused: it verifies under neither, or lacks what it needs for that, or it is a handshake.
    """
    received = replace(stored_request(row), headers=StoredHeaders(row.headers))
    todays = _at_todays_address(hub, received)
    if row.signed_by is not None:
        # It may have been signed with a secret that was replaced since.
        return hub.receiver.prepare_verified(todays, row.source, row.signed_by)
    refusals = []
    for request in (todays, received):
        outcome = hub.receiver.prepare(request, row.source)
        if isinstance(outcome, Reply):
            raise Refused("it only asked whether the hub is there: there is nothing to take in")
        if not isinstance(outcome, Refusal):
            return outcome
        refusals.append(outcome)
    cut = cut_sentence(row.headers, row.url)
    held = f"; {NOT_KEPT}" if MARK in received.url else ""
    raise Refused(cut or f"it still does not verify: {refusals[0].reason}{held}")


def _at_todays_address(hub: Hub, received: InboundRequest) -> InboundRequest:
    """Return a request as it would have arrived under the current HUB_PUBLIC_URL."""
    if hub.public_url is None:
        return received
    rest = urlsplit(received.url)._replace(scheme="", netloc="").geturl()
    return replace(received, url=hub.public_url + rest)
