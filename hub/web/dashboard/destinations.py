"""`/destinations`: destinations, their state and latency, pause and credential check."""

from collections import Counter

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.audit import record_action
from hub.core.auth.roles import Permission
from hub.core.configuration import Destination
from hub.core.delivery.pauses import set_paused
from hub.core.errors import NotFound
from hub.core.monitoring.source_health import rate_words
from hub.core.queries import destinations as board
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import sees_personal
from hub.web.dashboard.permissions import current_user, hub, now, own_path, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing


@dashboard.get("/destinations")
@requires(Permission.VIEW)
def destinations_page() -> Response:
    connection = db.session.connection()
    places = board.destination_statuses(connection, hub().configuration)
    took = {one.slug: board.latency(connection, one.slug) for one in places}
    ended = board.ended_badly(connection)
    return page("destinations.html", places=places, took=took, ended=ended, most=board.MOST)


@dashboard.get("/destinations/<slug>")
@requires(Permission.VIEW)
def destination_page(slug: str) -> Response:
    configured = _destination(slug)
    connection = db.session.connection()
    places = board.destination_statuses(connection, hub().configuration)
    took = board.latency(connection, slug)
    error = board.last_error(connection, slug)
    ended = board.ended_badly(connection).get(slug, Counter())
    return page(
        "destination.html",
        one=next(each for each in places if each.slug == slug),
        took=took,
        error=error,
        ended=ended,
        rate=rate_words(configured.rate) if configured.rate else None,
        routes=[each for each in hub().configuration.routes.values() if each.destination == slug],
    )


@dashboard.post("/destinations/<slug>/pause")
@requires(Permission.OPERATE)
def pause(slug: str) -> BaseResponse:
    _set_paused(slug, paused=True)
    flash(f"{slug} is paused. Nothing goes out to it until somebody lets it go on.", "good")
    return _back(slug)


@dashboard.post("/destinations/<slug>/resume")
@requires(Permission.OPERATE)
def resume(slug: str) -> BaseResponse:
    _set_paused(slug, paused=False)
    hub().waker.wake([slug])
    flash(f"{slug} goes on. What waits for it is sent now.", "good")
    return _back(slug)


@dashboard.post("/destinations/<slug>/check")
@requires(Permission.OPERATE)
def check_account(slug: str) -> BaseResponse:
    """Check a destination's credentials at the provider; no transaction is open during the call."""
    configured = _destination(slug)
    if not configured.enabled:
        flash(f"{slug} is switched off in hub.yaml.", "doubt")
        return _back(slug)
    # Imported here because few web processes make outbound calls.
    from hub.gateways.destination_client import probe

    db.session.remove()  # no connection waits for the provider
    found = probe(configured, allow_private=hub().allow_private)
    with writing() as connection:
        record_action(
            connection,
            actor=current_user().actor,
            action="destination.check",
            subject=slug,
            now=now(),
            detail={"ok": found.ok},
        )
    look = "doubt" if configured.sandbox else "good" if found.ok else "bad"
    flash(f"{slug}: {found.message.rstrip('.')}.", look)
    return _back(slug)


@dashboard.app_template_global("why_blocked")
def why_blocked(reason: str, destination: str) -> str:
    """Return the explanation of a destination's block, which quotes nobody if masked."""
    return board.reason_of(reason, destination, quoting=sees_personal()).words


def _set_paused(slug: str, *, paused: bool) -> None:
    with writing() as connection:
        set_paused(connection, hub(), slug, paused=paused, actor=current_user().actor, now=now())


def _destination(slug: str) -> Destination:
    found = hub().configuration.destinations.get(slug)
    if found is None:
        raise NotFound("hub.yaml has no such destination")
    return found


def _back(slug: str) -> BaseResponse:
    """Redirect to the page with the button, given in `back`; else to the destination's page."""
    here = url_for("dashboard.destination_page", slug=slug)
    return redirect(own_path(request.form.get("back")) or here, 303)
