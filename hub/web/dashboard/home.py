"""`/`: attention items and charts of the last 24 hours. `/held`: held leads and their release."""

from flask import Response, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from hub.core.audit import record_action
from hub.core.auth.audit_views import note_view
from hub.core.auth.roles import Permission
from hub.core.errors import NotFound, Refused
from hub.core.leads import held as leads
from hub.core.leads.held import list_held
from hub.core.monitoring import alerts
from hub.core.monitoring.source_health import watch_sources
from hub.core.queries.attention import find_attention_items
from hub.core.queries.destinations import destination_statuses
from hub.core.queries.hourly_stats import last_hours
from hub.core.queries.sources import last_event_at, source_statuses
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.params import id_or_404, id_param
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.dashboard.svg_charts import counts, durations
from hub.web.database import db, writing

HELD_A_PAGE = 50
LOOKED_LIKE = "looked like spam"


@dashboard.get("/")
@requires(Permission.VIEW)
def now_page() -> Response:
    connection = db.session.connection()
    places = destination_statuses(connection, hub().configuration)
    watched = watch_sources(connection, hub().configuration, now=now())
    disk = hub().disk.alerts
    needs = find_attention_items(connection, watched, places, now=now(), disk=disk)
    hours = last_hours(connection, now=now())
    heard = source_statuses(connection, hub().configuration, watched)
    last_at = last_event_at(connection)
    return page(
        "home.html",
        needs=needs,
        hours=hours,
        came=counts(hours, {"accepted": "came"}),
        ended=counts(hours, {"succeeded": "good", "failed": "bad"}),
        took=durations(hours),
        heard=heard,
        places=places,
        last_at=last_at,
    )


@dashboard.post("/alerts/<alert_id>/end")
@requires(Permission.OPERATE)
def end_alert(alert_id: str) -> BaseResponse:
    with writing() as connection:
        ended = alerts.end_one(connection, id_or_404(alert_id), now=now())
        record_action(
            connection,
            actor=current_user().actor,
            action="alert.end",
            subject=f"alert {alert_id}",
            now=now(),
            detail={"kind": ended[0], "about": ended[1]},
        )
    flash("Noted. It is told again if it happens again.", "good")
    return _back("dashboard.now_page")


@dashboard.get("/held")
@requires(Permission.VIEW)
def held_page() -> Response:
    before = id_param("before")
    connection = db.session.connection()
    found = list_held(connection, limit=HELD_A_PAGE + 1, before=before)
    if found and current_user().sees_personal:
        with writing() as connection:
            note_view(connection, current_user(), "held leads", now())
    rows = found[:HELD_A_PAGE]
    older = rows[-1].id if len(found) > HELD_A_PAGE else None
    return page("held.html", rows=rows, older=older, before=before)


@dashboard.post("/held/<event_id>/release")
@requires(Permission.OPERATE)
def release_held(event_id: str) -> BaseResponse:
    with writing() as connection:
        released = leads.release(
            connection, hub(), id_or_404(event_id), actor=current_user().actor, now=now()
        )
    hub().waker.wake()
    count = released.deliveries
    things = "one thing is" if count == 1 else f"{count} things are"
    flash(
        f"Let through: {things} being done about it."
        if count
        else "Let through. No route does anything about it.",
        "good",
    )
    return _back("dashboard.held_page")


@dashboard.post("/held/<event_id>/discard")
@requires(Permission.OPERATE)
def discard_held(event_id: str) -> BaseResponse:
    reason = request.form.get("reason", "").replace("\x00", "").strip()[:500] or LOOKED_LIKE
    with writing() as connection:
        leads.discard(
            connection, id_or_404(event_id), actor=current_user().actor, now=now(), reason=reason
        )
    flash("Put aside. It is kept, and nothing is done about it.", "good")
    return _back("dashboard.held_page")


@dashboard.post("/held/several")
@requires(Permission.OPERATE)
def decide_several() -> BaseResponse:
    """Release or discard the selected held leads, each in its own transaction."""
    ids = [id_or_404(one) for one in request.form.getlist("ids")[:HELD_A_PAGE]]
    did = request.form.get("did")
    if did not in ("release", "discard"):
        raise NotFound("a lead is released or discarded")
    actor, at, late = current_user().actor, now(), 0
    for one in ids:
        try:
            with writing() as connection:
                if did == "release":
                    leads.release(connection, hub(), one, actor=actor, now=at)
                else:
                    leads.discard(connection, one, actor=actor, now=at, reason=LOOKED_LIKE)
        except Refused:
            late += 1  # another person decided first
    hub().waker.wake()
    done = len(ids) - late
    what = "let through" if did == "release" else "put aside"
    other = f"; somebody else had decided about {late}" if late else ""
    flash(f"{done} {'lead was' if done == 1 else 'leads were'} {what}{other}."
          if ids else "Select some leads first.", "good" if done else "doubt")  # fmt: skip
    return _back("dashboard.held_page")


def _back(endpoint: str) -> BaseResponse:
    return redirect(url_for(endpoint), 303)
