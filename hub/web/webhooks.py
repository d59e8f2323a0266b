"""`POST /webhooks/<source>`: verified, stored, answered; 2xx means that it is in the database."""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request
from sqlalchemy.exc import DBAPIError

from adapters import Inbound, InboundRequest, NotVerified
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.ingest import Ingested, ingest, store_rejected
from hub.web.answers import answer
from hub.web.intake import inbound_request
from hub.web.tally import Tally

webhooks = Blueprint("webhooks", __name__)


@webhooks.post("/webhooks/<source_slug>", provide_automatic_options=False)
@webhooks.post("/webhooks/<source_slug>/<path_secret>", provide_automatic_options=False)
def take_in(source_slug: str, path_secret: str | None = None) -> Response:
    hub: Hub = current_app.extensions["hub"]
    tally: Tally = current_app.extensions["hub_tally"]
    source = hub.configuration.sources.get(source_slug)
    if source is None or not source.enabled:
        return answer(404)
    received = inbound_request(
        request.environ,
        origin=hub.public_url,
        max_bytes=source.max_bytes,
        received_at=datetime.now(UTC),
        path_secret=path_secret,
    )
    adapter = hub.inbound(source_slug)
    try:
        ingested = _store(hub, source, adapter, received)
    except NotVerified as error:
        if tally.rejected(source_slug, received.received_at, str(error)):
            with hub.store.write() as connection:
                store_rejected(connection, source=source_slug, request=received, reason=str(error))
        return answer(401)
    tally.ingested(source_slug, received.received_at, ingested.state)
    if ingested.new_event_ids:
        hub.waker.wake()
    reply = adapter.reply(ingested.events)
    return Response(reply.body, reply.status, content_type=reply.content_type)


def _store(hub: Hub, source: Source, adapter: Inbound, received: InboundRequest) -> Ingested:
    """Ingest; once more when the line to the database turns out to be dead.

    Storing twice is harmless: the second finds the first one's keys.
    """
    try:
        return _ingest(hub, source, adapter, received)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _ingest(hub, source, adapter, received)


def _ingest(hub: Hub, source: Source, adapter: Inbound, received: InboundRequest) -> Ingested:
    one_statement = hub.store.dialect == "postgresql"
    with hub.store.read() if one_statement else hub.store.write() as connection:
        return ingest(
            connection, source=source, adapter=adapter, router=hub.router, request=received
        )
