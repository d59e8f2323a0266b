"""`/sources`: sources, their set-up and samples, and their rejected and unreadable requests."""

from urllib.parse import urlsplit

from flask import Response, current_app, flash, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.test import Client
from werkzeug.wrappers import Response as BaseResponse

from adapters import FormInbound, InboundRequest
from hub.core.audit import record_action
from hub.core.auth.roles import Permission
from hub.core.configuration import Source
from hub.core.errors import NotFound, Refused
from hub.core.events.reingest import reingest
from hub.core.ids import parse_id
from hub.core.inbound.samples import address_of, external_id_of, live_destinations, make_sample
from hub.core.models import RequestState
from hub.core.monitoring.source_health import rate_words, watch_sources
from hub.core.monitoring.undeclared_fields import UndeclaredCount, undeclared_fields
from hub.core.queries import sources as board
from hub.core.queries.events import find_event_id
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import redacted_sentence
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

REFUSED_SHOWN = 10
AGAIN_AT_ONCE = 200


@dashboard.get("/sources")
@requires(Permission.VIEW)
def sources_page() -> Response:
    connection = db.session.connection()
    heard = _heard(connection)
    return page("sources.html", heard=heard)


@dashboard.get("/sources/<slug>")
@requires(Permission.VIEW)
def source_page(slug: str) -> Response:
    source, public_url = _source(slug), hub().public_url
    connection = db.session.connection()
    heard = _heard(connection)
    secrets = board.secrets_of(connection, source)
    rejected = board.rejected_of(connection, source, public_url=public_url, limit=REFUSED_SHOWN)
    unreadable = board.unreadable_of(connection, source, public_url=public_url, limit=REFUSED_SHOWN)
    return page(
        "source.html",
        one=next(each for each in heard if each.slug == slug),
        address=_origin() + address_of(hub(), slug) if source.enabled else None,
        is_public=public_url is not None,
        setup=board.setup_of(source),
        sample_types=hub().inbound(slug).sample_types() if source.enabled else (),
        expected=rate_words(source.expect) if source.expect else None,
        budget=board.budget_of(connection, source, now=now()),
        secrets=secrets,
        rejected=rejected,
        unreadable=unreadable,
        undeclared=_undeclared(connection, source),
    )


@dashboard.get("/sources/<slug>/sample")
@requires(Permission.OPERATE)
def sample_page(slug: str) -> Response:
    """Show the live destinations that a sample would reach, before it is sent."""
    kind, is_test = request.args.get("type", ""), bool(request.args.get("test"))
    sample = _sample(slug, kind, is_test=is_test)
    reached = live_destinations(hub(), slug, sample)
    return page("sample.html", slug=slug, kind=kind, is_test=is_test, reached=reached)


@dashboard.post("/sources/<slug>/sample")
@requires(Permission.OPERATE)
def send_sample(slug: str) -> BaseResponse:
    """Post a sample to the source's own URL, and redirect to the resulting event."""
    kind, is_test = request.form.get("type", ""), bool(request.form.get("test"))
    sample = _sample(slug, kind, is_test=is_test)
    status = _post(sample)
    with writing() as connection:
        record_action(
            connection,
            actor=current_user().actor,
            action="sample.send",
            subject=f"source {slug}",
            now=now(),
            detail={"type": kind, "status": status},
        )
    external_id = external_id_of(hub(), slug, sample)
    connection = db.session.connection()
    event_id = find_event_id(connection, slug, external_id)
    if event_id is None:
        flash(f"The hub did not take the sample: it answered {status}. See below why.", "bad")
        return redirect(url_for("dashboard.source_page", slug=slug), 303)
    flash("The sample came in. This is what became of it.", "good")
    return redirect(f"/events/{event_id}", 303)


@dashboard.post("/sources/<slug>/again")
@requires(Permission.OPERATE)
def take_again(slug: str) -> BaseResponse:
    """Verify and parse kept requests again: one, or up to `AGAIN_AT_ONCE` of a state."""
    source = _source(slug)
    state = RequestState(request.form.get("state", "")) if request.form.get("state") in (
        RequestState.REJECTED, RequestState.UNREADABLE
    ) else None  # fmt: skip
    one = parse_id(request.form.get("request", ""))
    if one is None and state is None:
        raise NotFound("there is nothing of that id")
    wanted = [one] if one else []
    if one is None and state is not None:
        connection = db.session.connection()
        wanted = list(board.kept_ids(connection, source.slug, state, limit=AGAIN_AT_ONCE))
    taken, last_refusal = 0, ""
    for request_id in wanted:
        try:
            with writing() as connection:
                became = reingest(connection, hub(), request_id).state
                record_action(
                    connection,
                    actor=current_user().actor,
                    action="request.again",
                    subject=f"request {request_id}",
                    now=now(),
                )
        except Refused as error:
            last_refusal = redacted_sentence(str(error))
            continue
        if became is RequestState.UNREADABLE:
            last_refusal = "it verifies, and still cannot be read"
        else:
            taken += 1
    hub().waker.wake()
    _tell(taken, len(wanted), last_refusal)
    return redirect(url_for("dashboard.source_page", slug=slug), 303)


def _tell(taken: int, tried: int, refusal: str) -> None:
    if not tried:
        flash("Nothing was kept that could be taken in again.", "doubt")
    elif taken == tried:
        flash(f"Taken in: {taken} of {tried}.", "good")
    else:
        flash(f"Taken in: {taken} of {tried}. The others: {refusal}.", "doubt" if taken else "bad")


def _heard(connection: Connection) -> list[board.SourceStatus]:
    configuration = hub().configuration
    watched = watch_sources(connection, configuration, now=now())
    return board.source_statuses(connection, configuration, watched)


def _undeclared(connection: Connection, source: Source) -> list[UndeclaredCount]:
    form = hub().inbound(source.slug) if source.enabled else None
    if not isinstance(form, FormInbound):
        return []
    return undeclared_fields(connection, source.slug, declared=form.labels.keys())


def _source(slug: str) -> Source:
    found = hub().configuration.sources.get(slug)
    if found is None:
        raise NotFound("hub.yaml has no such source")
    return found


def _origin() -> str:
    return hub().public_url or request.host_url.rstrip("/")


def _sample(slug: str, kind: str, *, is_test: bool) -> InboundRequest:
    _source(slug)
    return make_sample(hub(), slug, kind or None, origin=_origin(), live=not is_test, now=now())


def _post(sample: InboundRequest) -> int:
    """Send a sample to this app itself, in process; return the status of its response.

    It is a request of its own, in this thread, and needs a connection.
    """
    db.session.remove()
    split = urlsplit(sample.url)
    path = split.path if sample.path_secret is None else f"{split.path}/{sample.path_secret}"
    answer = Client(current_app.wsgi_app).post(
        path,
        base_url=f"{split.scheme}://{split.netloc}/",
        headers=dict(sample.headers),
        data=sample.body,
        environ_overrides={"REMOTE_ADDR": request.remote_addr or "127.0.0.1"},
    )
    return answer.status_code
