"""`POST /forms/<source>`: submissions from a page. 200 and 303 mean that the event is stored.

A body is read once. What comes of it, and what is stored, follows from the submission.
"""

from datetime import UTC, datetime
from math import ceil

from flask import Response, current_app, request
from werkzeug.exceptions import Forbidden, ServiceUnavailable, UnsupportedMediaType

from adapters import (
    FormInbound,
    InboundRequest,
    InvalidSubmission,
    NotVerified,
    Submission,
    TooManyFields,
    Unreadable,
)
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.core.inbound.byte_budget import ends_at
from hub.core.inbound.ingest import IngestResult
from hub.core.leads.held import is_held
from hub.core.queries.events import find_event_id
from hub.web.errors import RETRY_AFTER_S
from hub.web.forms import hosted, responses
from hub.web.forms.responses import form_of, forms, is_admitted, media_type, wants_json
from hub.web.forms.spam_check import check_submission
from hub.web.intake import Intake
from hub.web.request_reader import inbound_request
from hub.web.source_counters import SourceCounters

PREFLIGHT_KEPT_S = 600
HELD_TOO_MUCH = "503: no more is held for this source today, too much was held already"
FULL_TODAY = (
    "This form can take no more of that kind today. Nothing was kept: please get in touch in "
    "another way, or send it again tomorrow."
)

__all__ = ["forms"]


@forms.post("/forms/<source_slug>", provide_automatic_options=False)
def submit_form(source_slug: str) -> Response:
    hub: Hub = current_app.extensions["hub"]
    intake: Intake = current_app.extensions["hub_intake"]
    source, form = form_of(source_slug)
    received = inbound_request(
        request.environ,
        origin=hub.public_url,
        max_bytes=source.max_bytes,
        received_at=datetime.now(UTC),
    )
    if media_type() not in form.media_types:
        raise UnsupportedMediaType
    try:
        signed_by = form.verify(received)
    except NotVerified as error:
        intake.reject(received, source_slug, str(error))
        raise Forbidden from error
    try:
        submission = form.read(received)
        intake.counters.undeclared(source_slug, received.received_at, submission.undeclared)
        events = form.events(submission)
    except InvalidSubmission as error:
        return _wrong(form, intake.counters, source, submission, error.faults)
    except TooManyFields:
        return responses.problem(413, as_json=wants_json())
    except Unreadable:
        return responses.problem(400, as_json=wants_json())
    if intake.is_full:
        raise ServiceUnavailable(retry_after=RETRY_AFTER_S)
    prepared = hub.receiver.prepare_events(submission.request, source_slug, signed_by, events)
    prepared = check_submission(source, form, submission, prepared)
    if is_held(prepared):
        ingested = intake.store_held(prepared)
        if ingested is None:
            return _over_budget(intake.counters, source, received)
    else:
        [ingested] = intake.store([prepared])
    intake.after_stored(prepared, ingested)
    return _taken(form, submission, _event_id(hub, source_slug, ingested))


@forms.route("/forms/<source_slug>", methods=["OPTIONS"], provide_automatic_options=False)
@forms.route("/forms/<source_slug>/token", methods=["OPTIONS"], provide_automatic_options=False)
def preflight(source_slug: str) -> Response:
    """Answer a CORS preflight request for a script on a page (Fetch, CORS-preflight request)."""
    _, form = form_of(source_slug)
    if not is_admitted(form):
        raise Forbidden
    methods = "GET" if request.path.endswith("/token") else "GET, POST"
    allowed = {
        "Allow": f"{methods}, HEAD, OPTIONS",
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
    }
    return Response(status=204, headers=allowed)


def _wrong(
    form: FormInbound,
    counters: SourceCounters,
    source: Source,
    submission: Submission,
    faults: dict[str, str],
) -> Response:
    """Return the faults as JSON for a script, in the hosted form, or on a page; store nothing."""
    received = submission.request
    # A page without a required field turns every visitor away: the count makes that visible.
    reason = f"422: wrong or missing: {', '.join(faults)}"
    counters.rejected(source.slug, received.received_at, reason, traced=False)
    as_json = wants_json()
    if not as_json and hosted.MARK in (typed := form.typed(submission)):
        return hosted.show_form_again(form, source, typed, faults)
    return responses.problem(
        422, as_json=as_json, faults=faults, labels=form.labels, back=_page_of(form, received)
    )


def _over_budget(counters: SourceCounters, source: Source, received: InboundRequest) -> Response:
    """Return the refusal of a lead that would be held, and for which there is no room today."""
    counters.rejected(source.slug, received.received_at, HELD_TOO_MUCH, traced=False)
    answer = responses.problem(503, as_json=wants_json(), sentence=FULL_TODAY)
    rest_s = (ends_at(received.received_at) - received.received_at).total_seconds()
    answer.headers["Retry-After"] = str(ceil(rest_s))
    return answer


def _page_of(form: FormInbound, received: InboundRequest) -> str | None:
    """Return the URL of the referring page; None if it is unknown or may not post the form."""
    page = received.headers.get("referer", "")
    origin = "/".join(page.split("/", 3)[:3])
    return page if origin and form.admits(origin, received.url) else None


def _taken(form: FormInbound, submission: Submission, event_id: str) -> Response:
    next_page = form.thanks_page(submission)
    if wants_json():
        return responses.found({"id": event_id} | ({"next": next_page} if next_page else {}))
    return responses.redirect(next_page) if next_page else responses.thanks()


def _event_id(hub: Hub, source_slug: str, ingested: IngestResult) -> str:
    """Return the event's id; for a duplicate, the id of the first event; `""` if none is found."""
    if ingested.new_event_ids:
        return str(ingested.new_event_ids[0])
    with hub.store.read() as connection:
        found = find_event_id(connection, source_slug, ingested.events[0].external_id)
    return str(found or "")
