"""What is done with every request that was taken in, wherever it was posted: kept, or refused."""

from flask import Response
from sqlalchemy.exc import DBAPIError

from adapters import InboundRequest
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.ingest import Ingested, Prepared, ingest, store_rejected
from hub.web.answers import answer
from hub.web.tally import Tally


def store(hub: Hub, prepared: Prepared) -> Ingested:
    """Store; once more when the line to the database turns out to be dead.

    Storing twice is harmless: the second finds the first one's keys, and that they are its own.
    """
    try:
        return _ingest(hub, prepared)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _ingest(hub, prepared)


def refuse(
    hub: Hub, tally: Tally, source: Source, received: InboundRequest, reason: str
) -> Response:
    """Count what does not verify, keep a trace of the first few, and answer 401."""
    keep_trace(hub, tally, source, received, reason)
    return answer(401)


def keep_trace(
    hub: Hub, tally: Tally, source: Source, received: InboundRequest, reason: str
) -> None:
    """Count what does not verify, and keep the first few of each minute to be verified again."""
    if tally.rejected(source.slug, received.received_at, reason):
        with hub.store.write() as connection:
            store_rejected(connection, source=source.slug, request=received, reason=reason)


def _ingest(hub: Hub, prepared: Prepared) -> Ingested:
    one_statement = hub.store.dialect == "postgresql"
    with hub.store.read() if one_statement else hub.store.write() as connection:
        return ingest(connection, prepared)
