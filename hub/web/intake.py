"""Intake of a web process: storage of inbound requests, what follows it, and refusals.

Both ways into the hub use it: the Flask views, and the server in front of them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from adapters import InboundRequest, Reply, Unreadable
from hub.core.hub import Hub
from hub.core.inbound.ingest import (
    IngestResult,
    PreparedRequest,
    ingest_all,
    ingest_known,
    ingest_new,
    store_rejected,
)
from hub.core.inbound.receive import Refusal
from hub.core.leads.held import store_held
from hub.core.ports import EVENTS
from hub.gateways.database.wait import once_more
from hub.web.errors import SENTENCES, error_reply
from hub.web.source_counters import SourceCounters

# Refusals before the signature is verified; a 401 is counted where it is decided.
COUNTED_REFUSALS = frozenset({400, 405, 408, 413, 415, 431})


class Intake:
    """Intake of the hub's requests, shared by all threads of a process."""

    def __init__(self, hub: Hub, counters: SourceCounters) -> None:
        self._hub = hub
        self.counters = counters

    @property
    def is_full(self) -> bool:
        """Whether there is no room on the disk: what would be stored is refused (503)."""
        return self._hub.disk.is_full

    def store(self, requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
        """Store requests in one write; try once more if the database connection is dead.

        Storing twice is harmless: the second try finds the keys of the first, and that they are
        its own.
        """
        return once_more(self._ingest, requests)

    def store_held(self, prepared: PreparedRequest) -> IngestResult | None:
        """Store a held lead; None if the byte budget of its source is used up for today."""

        def stored() -> IngestResult | None:
            with self._hub.store.write() as connection:
                return store_held(connection, prepared)

        return once_more(stored)

    def after_stored(self, prepared: PreparedRequest, ingested: IngestResult) -> None:
        """Count a stored request, and send a wake-up if it brought events."""
        self.counters.ingested(prepared.row["source"], prepared.row["received_at"], ingested.state)
        if ingested.new_event_ids:
            folding = {EVENTS} if prepared.needs_projection else set()
            self._hub.waker.wake(prepared.destinations | folding)

    def receive(self, request: InboundRequest, slug: str) -> Reply:
        """Take in a webhook of an enabled source: verify, store, count; return its response."""
        outcome = self._hub.receiver.prepare(request, slug)
        if not isinstance(outcome, PreparedRequest):
            return self.decline(request, slug, outcome)
        if self.is_full:
            return error_reply(503)
        [ingested] = self.store([outcome])
        self.after_stored(outcome, ingested)
        return self._hub.receiver.reply(slug, ingested)

    def decline(self, request: InboundRequest, slug: str, outcome: Refusal | Reply) -> Reply:
        """Return the response to a request of which no event is stored; count a refusal."""
        if isinstance(outcome, Reply):
            return outcome
        if outcome.status == 401:
            self.reject(request, slug, outcome.reason, keeps_trace=outcome.keeps_trace)
        return error_reply(outcome.status)

    def reject(
        self, request: InboundRequest, slug: str, reason: str, *, keeps_trace: bool = True
    ) -> None:
        """Count a request that does not verify; store a trace of the first few of each minute.

        A stored trace can be verified again. There is none beyond the byte budget of its source,
        nor on a full disk.
        """
        keeps_trace = keeps_trace and not self.is_full
        if not self.counters.rejected(slug, request.received_at, reason, traced=keeps_trace):
            return
        try:
            stored, has_body = self._hub.inbound(slug).stored(request), True
        except Unreadable:
            stored, has_body = request, False
        secrets = self._hub.receiver.secrets(slug)
        with self._hub.store.write() as connection:
            store_rejected(
                connection, source=slug, request=stored, reason=reason, secrets=secrets,
                keeps_body=has_body,
            )  # fmt: skip

    def note_refusal(self, path: str, status: int) -> None:
        """Count a refusal before verification at a source's address; store nothing of it."""
        if status not in COUNTED_REFUSALS or not path.startswith(("/webhooks/", "/forms/")):
            return
        slug = path.split("/")[2]
        if slug in self._hub.configuration.sources:
            reason = f"{status}: {SENTENCES[status]}"
            self.counters.rejected(slug, datetime.now(UTC), reason, traced=False)

    def _ingest(self, requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
        store = self._hub.store
        if store.dialect == "sqlite":
            with store.write() as connection:
                self._hub.bodies.learn(connection)
                return ingest_all(connection, requests)
        # What is new is one statement, and a transaction of its own.
        with store.read() as connection:
            # What is stored in the event loop comes after a first request that came this way.
            self._hub.bodies.learn(connection)
            results = ingest_new(connection, requests)
        return [
            self._ingest_known(one) if result is None else result
            for one, result in zip(requests, results, strict=True)
        ]

    def _ingest_known(self, prepared: PreparedRequest) -> IngestResult:
        with self._hub.store.write() as connection:
            return ingest_known(connection, prepared)
