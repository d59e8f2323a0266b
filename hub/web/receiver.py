"""Storage of inbound requests, for webhooks and forms alike: group commit, and refusals."""

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
# Size added for each row of a batch, beside the body: one mail report has thousands of rows.
ROW_BYTES = 2048
# How long a write that hangs, on a lock or a dead connection, delays the requests queued behind it.
GROUP_PATIENCE_S = 0.5


class GroupCommitWriter:
    """Group commit of inbound requests that arrive at the same time; on PostgreSQL only."""

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
        """Return the number of requests queued behind the current write."""
        return self._group.waiting

    def ingest(self, prepared: PreparedRequest) -> IngestResult | None:
        """Store a request with others; None, with nothing stored, if it must be stored alone."""
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
                # One bad batch must not fail the others: each is stored alone.
                return [None] * len(batches)


def finish(hub: Hub, prepared: PreparedRequest, batch: Batch, new: Sequence[UUID]) -> IngestResult:
    """Return the result of a request whose new events are stored; count its duplicates now."""
    if len(new) == len(batch.events):
        return result_of(prepared, Stored(new))
    if new:
        # The stored events need their wake-up even if the statements below fail.
        hub.waker.wake()
    with hub.store.read() as connection:
        return result_of(prepared, count_rest(connection, batch, new))


def weight_of(batch: Batch) -> int:
    """Return the share of a group's size that a batch takes, in bytes, estimated."""
    rows = len(batch.events) + len(batch.deliveries)
    return int(batch.request["size_bytes"]) + ROW_BYTES * rows


def store_request(hub: Hub, writer: GroupCommitWriter, prepared: PreparedRequest) -> IngestResult:
    """Store a request; try once more if the database connection turns out to be dead.

    Storing twice is harmless: the second try finds the keys of the first, and that they are its
    own.
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
    """Count a request that does not verify, store a trace of the first few, and answer 401."""
    keep_trace(hub, counters, source, received, reason)
    return error_response(401)


def keep_trace(
    hub: Hub, counters: SourceCounters, source: Source, received: InboundRequest, reason: str
) -> None:
    """Count a request that does not verify; store a trace of the first few of each minute.

    A stored trace can be verified again.
    """
    if counters.rejected(source.slug, received.received_at, reason):
        with hub.store.write() as connection:
            store_rejected(connection, source=source.slug, request=received, reason=reason)


def _ingest(hub: Hub, prepared: PreparedRequest) -> IngestResult:
    one_statement = hub.store.dialect == "postgresql"
    with hub.store.read() if one_statement else hub.store.write() as connection:
        return ingest(connection, prepared)
