"""`/webhooks/<source>`: verify, store, answer. 2xx means that the request is stored."""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import NotFound, ServiceUnavailable, default_exceptions

from hub.core.hub import Hub
from hub.gateways.password_hashing import HashingBusy
from hub.web.errors import RETRY_AFTER_S, response_of
from hub.web.intake import Intake
from hub.web.proxy_watch import ProxyWatch
from hub.web.request_reader import REFUSED, inbound_request
from hub.web.visitors import forwarding_headers

webhooks = Blueprint("webhooks", __name__)


@webhooks.route("/webhooks/<source_slug>", methods=["GET", "POST"], provide_automatic_options=False)
@webhooks.route(
    "/webhooks/<source_slug>/<path_secret>",
    methods=["GET", "POST"],
    provide_automatic_options=False,
)
def receive_webhook(source_slug: str, path_secret: str | None = None) -> Response:
    hub: Hub = current_app.extensions["hub"]
    intake: Intake = current_app.extensions["hub_intake"]
    source = hub.receiver.source(source_slug, path_secret)
    if source is None:
        raise NotFound
    received = inbound_request(
        request.environ,
        origin=hub.public_url,
        max_bytes=source.max_bytes,
        received_at=datetime.now(UTC),
        path_secret=path_secret,
    )
    return response_of(intake.receive(received, source_slug))


@webhooks.before_app_request
def refuse_what_the_server_refused() -> None:
    """Refuse a request that the server in front has not read to its end, at any address."""
    status = request.environ.get(REFUSED)
    if status == 429:
        raise HashingBusy
    if status == 503:
        raise ServiceUnavailable(retry_after=RETRY_AFTER_S)
    if status is not None:
        raise default_exceptions[status]


@webhooks.before_app_request
def watch_for_proxies() -> None:
    """Look at a request that came to the application itself, under another WSGI server."""
    if "asgi.scope" not in request.environ:
        proxies: ProxyWatch = current_app.extensions["hub_proxy_watch"]
        peer = request.environ.get("REMOTE_ADDR") or ""
        proxies.see(request.path, peer, forwarding_headers(request.environ))


@webhooks.after_app_request
def count_refusal(response: Response) -> Response:
    if response.status_code >= 400:
        intake: Intake = current_app.extensions["hub_intake"]
        intake.note_refusal(request.path, response.status_code)
    if response.status_code == 405 and request.path.startswith("/webhooks/"):
        # A GET serves handshakes between two machines only, and is not advertised.
        response.headers["Allow"] = "POST"
    return response
