"""What is done with every request that was taken in, wherever it was posted: kept, or refused."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response
from sqlalchemy.exc import DBAPIError

from adapters import InboundRequest
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.group_commit import GroupCommit
from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest, result_of, store_rejected
from hub.core.inbound.insert import Stored, count_rest
from hub.core.inbound.insert_postgresql import Batch, insert_new
from hub.web.errors import error_response
from hub.web.source_counters import SourceCounters

GROUP_MOST = 32
GROUP_MOST_BYTES = 256 * 1024
# What a row of a batch weighs beside the body: a mail report has thousands in one request.
ROW_BYTES = 2048
# How long a write that hangs, on a lock or a dead line, holds up those behind it.
GROUP_PATIENCE_S = 0.5


class GroupCommitWriter:
    """The writes of requests that are taken in at the same time: on PostgreSQL they are one."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._group = GroupCommit(
            self._insert,
            most=GROUP_MOST,
            most_size=GROUP_MOST_BYTES,
            patience_s=GROUP_PATIENCE_S,
        )

    @property
    def waiting(self) -> int:
        """Return how many wait for the write before theirs."""
        return self._group.waiting

    def ingest(self, prepared: PreparedRequest) -> IngestResult | None:
        """Store a request; None where it is to be stored alone, nothing of it is stored then."""
        batch = prepared.batch
        if batch is None or self._hub.store.dialect != "postgresql":
            return None
        if (weight := weight_of(batch)) > GROUP_MOST_BYTES:
            return None
        new = self._group(batch, size=weight)
        return None if new is None else finish(self._hub, prepared, batch, new)

    def _insert(self, batches: Sequence[Batch]) -> Sequence[Sequence[UUID] | None]:
        with self._hub.store.read() as connection:
            try:
                return insert_new(connection, batches)
            except Exception as error:
                is_gone = isinstance(error, DBAPIError) and error.connection_invalidated
                if is_gone or len(batches) == 1:
                    raise
                return [None] * len(batches)  # one of them is to blame, and not for the others


def finish(hub: Hub, prepared: PreparedRequest, batch: Batch, new: Sequence[UUID]) -> IngestResult:
    """Return what became of a request whose new events are stored; the others are counted now."""
    if len(new) == len(batch.events):
        return result_of(prepared, Stored(new))
    if new:
        hub.waker.wake()  # what follows may fail, and these are stored
    with hub.store.read() as connection:
        return result_of(prepared, count_rest(connection, batch, new))


def weight_of(batch: Batch) -> int:
    """Return how much of a group's size a request takes, in bytes or so."""
    rows = len(batch.events) + len(batch.deliveries)
    return int(batch.request["size_bytes"]) + ROW_BYTES * rows


def store_request(hub: Hub, writer: GroupCommitWriter, prepared: PreparedRequest) -> IngestResult:
    """Store; once more when the line to the database turns out to be dead.

    Storing twice is harmless: the second finds the first one's keys, and that they are its own.
    """
    try:
        return writer.ingest(prepared) or _ingest(hub, prepared)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _ingest(hub, prepared)


def refuse_request(
    hub: Hub, counters: SourceCounters, source: Source, received: InboundRequest, reason: str
) -> Response:
    """Count what does not verify, keep a trace of the first few, and answer 401."""
    keep_trace(hub, counters, source, received, reason)
    return error_response(401)


def keep_trace(
    hub: Hub, counters: SourceCounters, source: Source, received: InboundRequest, reason: str
) -> None:
    """Count what does not verify, and keep the first few of each minute to be verified again."""
    if counters.rejected(source.slug, received.received_at, reason):
        with hub.store.write() as connection:
            store_rejected(connection, source=source.slug, request=received, reason=reason)


def _ingest(hub: Hub, prepared: PreparedRequest) -> IngestResult:
    one_statement = hub.store.dialect == "postgresql"
    with hub.store.read() if one_statement else hub.store.write() as connection:
        return ingest(connection, prepared)
