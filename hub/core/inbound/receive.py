"""Receiver of inbound requests: what a request comes to, before anything of it is stored.

Bytes and headers in, a value out; no Flask, no database, no clock. Whoever takes requests in calls
it: the Flask view, the server in front of it, the form endpoint, a replay of a stored request and
a backfill. `hub.core.inbound.ingest` then stores what it prepared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters import Event, Inbound, InboundRequest, NotVerified, Reply, Unreadable
from adapters.contract.strict_json import storable
from hub.core.configuration import Source
from hub.core.ids import new_id
from hub.core.inbound.address_secrets import NO_SECRETS, SourceSecrets, secrets_in
from hub.core.inbound.body_encoder import BodyEncoder
from hub.core.inbound.header_limit import limit_headers, limit_url
from hub.core.inbound.ingest import (
    IngestResult,
    PreparedRequest,
    needs_projection,
    new_delivery_row,
    new_request_row,
)
from hub.core.inbound.insert_postgresql import Batch
from hub.core.inbound.routing import Router
from hub.core.models import EventState


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refusal of a request, of which no event is stored: the status of its response, and why.

    `keeps_trace`: a trace of it may be stored, so that it can be verified again.
    """

    status: int
    reason: str = ""
    keeps_trace: bool = False


class Receiver:
    """Receiver of one process, shared by its threads. `adapters`: of each enabled source.

    Without `bodies` they are stored plain.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        adapters: Mapping[str, Inbound],
        router: Router,
        bodies: BodyEncoder | None = None,
    ) -> None:
        self._sources = sources
        self._adapters = adapters
        self._router = router
        self._bodies = bodies or BodyEncoder()
        self._secrets = {
            slug: SourceSecrets(
                secrets_in(sources[slug].settings, adapter.secret_keys), adapter.takes_path_secret
            )
            for slug, adapter in adapters.items()
            if slug in sources
        }

    def source(self, slug: str, path_secret: str | None = None) -> Source | None:
        """Return the source whose webhooks come to an address; None if there is none.

        `path_secret` is the last segment of `/webhooks/<slug>/<secret>`, if it has one.
        """
        adapter = self._adapters.get(slug)
        if adapter is None or adapter.takes_forms:
            return None
        if path_secret is not None and not adapter.takes_path_secret:
            return None
        return self._sources[slug]

    def secrets(self, slug: str) -> SourceSecrets:
        """Return the secrets of an enabled source, which no stored address may hold."""
        return self._secrets.get(slug, NO_SECRETS)

    def prepare(self, request: InboundRequest, slug: str) -> PreparedRequest | Refusal | Reply:
        """Verify, parse and match a request of an enabled source, in memory.

        A `Reply` answers a handshake, of which nothing is stored. A request that verifies is
        prepared, whether it can be parsed or not.
        """
        adapter = self._adapters[slug]
        is_post = request.method == "POST"
        try:
            if handshake := adapter.handshake(request):
                return handshake
            if not is_post:
                return Refusal(405)
            signed_by = adapter.verify(request)
        except NotVerified as error:
            # The URL of a GET may contain a token, so that it leaves no trace.
            return Refusal(401, str(error), keeps_trace=is_post)
        return self.prepare_verified(request, slug, signed_by)

    def prepare_verified(
        self, request: InboundRequest, slug: str, signed_by: str
    ) -> PreparedRequest:
        """Parse and match a request that was verified; `signed_by` is the label of its secret."""
        adapter = self._adapters[slug]
        try:
            stored = adapter.stored(request)
        except Unreadable as error:
            row = self._row(request, slug, signed_by) | {"body": None}
            return PreparedRequest(row, reason=str(error))
        try:
            events = adapter.parse(stored)
        except Unreadable as error:
            return PreparedRequest(self._row(stored, slug, signed_by), reason=str(error))
        return self.prepare_events(stored, slug, signed_by, events)

    def prepare_events(
        self, request: InboundRequest, slug: str, signed_by: str, events: Sequence[Event]
    ) -> PreparedRequest:
        """Match the events of a request that was verified and parsed; `request` is stored as it is.

        `signed_by` is the label of its secret.
        """
        row = self._row(request, slug, signed_by)
        if not events:
            return PreparedRequest(row, reason="there is no event in it")
        batch = Batch(row, [_event_row(event, row, self._router.version) for event in events], [])
        for event, event_row in zip(events, batch.events, strict=True):
            self._match(event, event_row, batch)
        return PreparedRequest(row, events, batch)

    def reply(self, slug: str, ingested: IngestResult) -> Reply:
        """Return the response that the provider expects once its request is stored."""
        return self._adapters[slug].reply(ingested.events)

    def _row(self, request: InboundRequest, slug: str, signed_by: str) -> dict[str, Any]:
        row = new_request_row(slug, request, signed_by=signed_by, secrets=self.secrets(slug))
        row["body"] = self._bodies.encode(request.body, received_at=request.received_at)
        if self._adapters[slug].takes_forms:  # anybody may have sent it
            row |= {"headers": limit_headers(row["headers"]), "url": limit_url(row["url"])}
        return row

    def _match(self, event: Event, event_row: dict[str, Any], batch: Batch) -> None:
        """Add the deliveries of an event to a batch, and set the event's state."""
        request = batch.request
        matches = self._router.match(
            event,
            event_id=event_row["id"],
            source=request["source"],
            received_at=request["received_at"],
        )
        if event.incomplete:
            event_row["state"] = EventState.INCOMPLETE
            # The event is projected once it is complete.
            event_row["folded"] = True
        elif matches:
            event_row["state"] = EventState.MATCHED
        batch.deliveries.extend(new_delivery_row(match, event_row) for match in matches)


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
        "fact_window_s": event.fact_window_s,
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
