"""Re-ingest of stored requests: unreadable ones are parsed again, rejected ones verified again."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, Row, delete, select, update

from adapters import InboundRequest, NotVerified
from hub.core.configuration import Source
from hub.core.errors import NotFound, Refused
from hub.core.hub import Hub
from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest, prepare_request
from hub.core.models import RequestState, StoredRequest
from hub.core.rehydrate import stored_request


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
        raise Refused("its body was not kept")
    source = hub.configuration.sources.get(row.source)
    if source is None or not source.enabled:
        raise NotFound(f"there is no source {row.source} in hub.yaml")
    prepared = _prepared(hub, source, row)
    if prepared.batch is None:
        connection.execute(
            update(StoredRequest)
            .where(StoredRequest.id == request_id)
            .values(state=RequestState.UNREADABLE, reason=prepared.reason)
        )
        return IngestResult(request_id, RequestState.UNREADABLE)
    ingested = ingest(connection, prepared)
    connection.execute(delete(StoredRequest).where(StoredRequest.id == request_id))
    return ingested


def _prepared(hub: Hub, source: Source, row: Row[Any]) -> PreparedRequest:
    """Verify and parse a request, under the hub's current address or else under the original one.

    Raises:
        Refused: it verifies under neither.
    """
    received = stored_request(row)
    refusal: NotVerified | None = None
    for request in (_at_todays_address(hub, received), received):
        try:
            return prepare_request(
                source=source,
                adapter=hub.inbound(row.source),
                router=hub.router,
                request=request,
                # It may have been signed with a secret that was replaced since.
                signed_by=row.signed_by,
            )
        except NotVerified as error:
            refusal = refusal or error
    raise Refused(f"it still does not verify: {refusal}") from refusal


def _at_todays_address(hub: Hub, received: InboundRequest) -> InboundRequest:
    """Return a request as it would have arrived under the current HUB_PUBLIC_URL."""
    if hub.public_url is None:
        return received
    rest = urlsplit(received.url)._replace(scheme="", netloc="").geturl()
    return replace(received, url=hub.public_url + rest)
