"""`POST /forms/<source>`: what people send from a page; 200 and 303 mean that it is stored."""

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import Forbidden, HTTPException, NotFound, UnsupportedMediaType

from adapters import (
    FormInbound,
    InboundRequest,
    InvalidSubmission,
    NotVerified,
    TooManyFields,
    Unreadable,
)
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.ingest import Ingested, prepare
from hub.core.listing import list_events
from hub.web import pages
from hub.web.intake import inbound_request
from hub.web.storing import keep_trace, store
from hub.web.tally import Tally

PREFLIGHT_KEPT_S = 600

forms = Blueprint("forms", __name__)


@forms.post("/forms/<source_slug>", provide_automatic_options=False)
def take_in(source_slug: str) -> Response:
    hub: Hub = current_app.extensions["hub"]
    tally: Tally = current_app.extensions["hub_tally"]
    source, form = _form(source_slug)
    received = inbound_request(
        request.environ,
        origin=hub.public_url,
        max_bytes=source.max_bytes,
        received_at=datetime.now(UTC),
    )
    if request.mimetype not in form.media_types:
        raise UnsupportedMediaType
    try:
        signed_by = form.verify(received)
    except NotVerified as error:
        keep_trace(hub, tally, source, received, str(error))
        raise Forbidden from error
    if refusal := _refusal(form, tally, source, received):
        return refusal
    prepared = prepare(
        source=source, adapter=form, router=hub.router, request=received, signed_by=signed_by
    )
    ingested = store(hub, prepared)
    tally.ingested(source_slug, received.received_at, ingested.state)
    if ingested.new_event_ids:
        hub.waker.wake()
    if _wants_json():
        return pages.found({"id": _event_id(hub, source_slug, ingested)})
    return pages.redirect(form.redirect) if form.redirect else pages.thanks()


@forms.route("/forms/<source_slug>", methods=["OPTIONS"], provide_automatic_options=False)
def preflight(source_slug: str) -> Response:
    """Tell a browser whether a script of its page may post (Fetch, CORS-preflight request)."""
    _, form = _form(source_slug)
    if not _is_admitted(form):
        raise Forbidden
    allowed = {
        "Allow": "OPTIONS, POST",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
    }
    return Response(status=204, headers=allowed)


@forms.errorhandler(HTTPException)
def on_http(error: HTTPException) -> Response:
    return pages.problem(error.code or 400, as_json=_wants_json())


@forms.after_request
def let_the_page_read_it(response: Response) -> Response:
    """Name the page's origin in every answer, errors too, if the form may be sent from there."""
    response.vary.update(("Accept", "Origin"))
    origin = request.headers.get("Origin")
    try:
        _, form = _form((request.view_args or {})["source_slug"])
    except NotFound:
        return response
    if origin and _is_admitted(form):
        response.headers["Access-Control-Allow-Origin"] = origin
    return response


def _form(slug: str) -> tuple[Source, FormInbound]:
    hub: Hub = current_app.extensions["hub"]
    source = hub.configuration.sources.get(slug)
    if source is None or not source.enabled:
        raise NotFound
    form = hub.inbound(slug)
    if not isinstance(form, FormInbound):
        raise NotFound
    return source, form


def _refusal(
    form: FormInbound, tally: Tally, source: Source, received: InboundRequest
) -> Response | None:
    """Return why it cannot be taken in, None if it can. Nothing of it is kept."""
    try:
        form.parse(received)
    except InvalidSubmission as error:
        # A page that does not send what its form asks for turns everybody away: it must be seen.
        reason = f"422: wrong or missing: {', '.join(error.faults)}"
        tally.rejected(source.slug, received.received_at, reason, traced=False)
        as_json = _wants_json()
        return pages.problem(422, as_json=as_json, faults=error.faults, labels=form.labels)
    except TooManyFields:
        return pages.problem(413, as_json=_wants_json())
    except Unreadable:
        return pages.problem(400, as_json=_wants_json())
    return None


def _is_admitted(form: FormInbound) -> bool:
    public_url = current_app.extensions["hub"].public_url
    return form.admits(request.headers.get("Origin"), public_url or request.host_url)


def _wants_json() -> bool:
    accepted = request.accept_mimetypes
    return (
        request.mimetype == "application/json"
        or accepted["application/json"] > accepted["text/html"]
    )


def _event_id(hub: Hub, source_slug: str, ingested: Ingested) -> str:
    """Return the event's id: of a repetition, that of the first."""
    if ingested.new_event_ids:
        return str(ingested.new_event_ids[0])
    filters = {"source": source_slug, "external_id": ingested.events[0].external_id}
    with hub.store.read() as connection:
        found = list_events(connection, filters=filters, limit=1)
    return str(found[0]["id"]) if found else ""
