"""`POST /webhooks/<source>`: verify, store, answer. 2xx means that the request is stored."""

from datetime import UTC, datetime

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import MethodNotAllowed, NotFound, RequestTimeout, ServiceUnavailable

from adapters import NotVerified, Reply
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.ingest import IngestResult, prepare_request
from hub.web.errors import SENTENCES, error_response
from hub.web.receiver import refuse_request, store_request
from hub.web.request_reader import inbound_request
from hub.web.source_counters import SourceCounters

# Refusals before the signature is verified; a 401 is counted where it is decided.
COUNTED_REFUSALS = frozenset({400, 405, 408, 413, 415, 431})

webhooks = Blueprint("webhooks", __name__)


@webhooks.route("/webhooks/<source_slug>", methods=["GET", "POST"], provide_automatic_options=False)
@webhooks.route(
    "/webhooks/<source_slug>/<path_secret>",
    methods=["GET", "POST"],
    provide_automatic_options=False,
)
def receive_webhook(source_slug: str, path_secret: str | None = None) -> Response:
    hub: Hub = current_app.extensions["hub"]
    source = _source(hub, source_slug)
    adapter = hub.inbound(source_slug)
    if adapter.takes_forms or (path_secret is not None and not adapter.takes_path_secret):
        raise NotFound
    try:
        received = inbound_request(
            request.environ,
            origin=hub.public_url,
            max_bytes=source.max_bytes,
            received_at=datetime.now(UTC),
            path_secret=path_secret,
        )
    except RequestTimeout as error:
        if late_status(current_app, request.path) == 408:
            raise
        note_refusal(current_app, request.path, 408)
        raise ServiceUnavailable from error
    counters: SourceCounters = current_app.extensions["hub_source_counters"]
    try:
        if handshake := adapter.handshake(received):
            return _reply(handshake)
        if received.method != "POST":
            raise MethodNotAllowed(valid_methods=["POST"])
        prepared = prepare_request(
            source=source, adapter=adapter, router=hub.router, request=received
        )
    except NotVerified as error:
        if received.method != "POST":
            # The URL of a GET may contain a token, so that no trace is stored.
            counters.rejected(source_slug, received.received_at, str(error), traced=False)
            return error_response(401)
        return refuse_request(hub, counters, source, received, str(error))
    ingested = store_request(hub, current_app.extensions["hub_group_commit"], prepared)
    return _reply(after_stored(hub, counters, source_slug, received.received_at, ingested))


def after_stored(
    hub: Hub, counters: SourceCounters, slug: str, at: datetime, ingested: IngestResult
) -> Reply:
    """Count a stored request, send a wake-up for new events, and return the sender's reply."""
    counters.ingested(slug, at, ingested.state)
    if ingested.new_event_ids:
        hub.waker.wake()
    return hub.inbound(slug).reply(ingested.events)


@webhooks.after_app_request
def count_refusal(response: Response) -> Response:
    note_refusal(current_app, request.path, response.status_code)
    if response.status_code == 405 and request.path.startswith("/webhooks/"):
        # A GET serves handshakes between two machines only, and is not advertised.
        response.headers["Allow"] = "POST"
    return response


def note_refusal(app: Flask, path: str, status: int) -> None:
    """Count a refusal before verification at a source's address; store nothing of the request."""
    if status not in COUNTED_REFUSALS or not path.startswith(("/webhooks/", "/forms/")):
        return
    hub: Hub = app.extensions["hub"]
    counters: SourceCounters = app.extensions["hub_source_counters"]
    slug = path.split("/")[2]
    if slug in hub.configuration.sources:
        counters.rejected(slug, datetime.now(UTC), f"{status}: {SENTENCES[status]}", traced=False)


def late_status(app: Flask, path: str) -> int:
    """Return the status for a body that did not arrive in time: 408, or 503 for a mail service.

    A sender that cannot sign, and authenticates by a secret in the path, delivers e-mail: it
    drops a message for good on a 4xx.
    """
    hub: Hub = app.extensions["hub"]
    parts = path.split("/")
    source = hub.configuration.sources.get(parts[2]) if path.startswith("/webhooks/") else None
    if source is None or not source.enabled:
        return 408
    return 503 if hub.inbound(source.slug).takes_path_secret else 408


def _source(hub: Hub, slug: str) -> Source:
    source = hub.configuration.sources.get(slug)
    if source is None or not source.enabled:
        raise NotFound
    return source


def _reply(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, content_type=reply.content_type)
    if reply.content_type is None:
        # Flask would set text/html.
        del response.headers["Content-Type"]
    return response
