"""Actions on an event: replay, apply the current routes, copy with changes, decide if held."""

from typing import Any
from uuid import UUID

import orjson
from flask import Response, flash, redirect, request, url_for
from werkzeug.exceptions import BadRequest, Forbidden
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.audit_views import note_view
from hub.core.auth.roles import Permission
from hub.core.errors import Refused
from hub.core.events.edited_copies import copy_event, read_edited
from hub.core.events.rematch import apply_routes
from hub.core.explain.errors import PLANS
from hub.core.ids import new_id
from hub.core.leads import held
from hub.core.rehydrate import as_event, body_deleted_at, find_event, read_again
from hub.core.replays.replay import Plan, Planned, preview_deliveries, replay_deliveries
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.params import id_or_404, id_param
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

SOMEBODY_WAS_QUICKER = "Already on its way: somebody was quicker. It runs once."
LONGEST_REASON = 500


@dashboard.get("/events/<event_id>/replay")
@requires(Permission.OPERATE)
def replay_event_page(event_id: str) -> Response:
    """Show the effects of a replay of one delivery, or of all deliveries of the event."""
    wanted, delivery_id = id_or_404(event_id), id_param("delivery")
    return _preview(wanted, delivery_id)


@dashboard.post("/events/<event_id>/replay")
@requires(Permission.OPERATE)
def replay_event(event_id: str) -> BaseResponse:
    """Replay the deliveries whose previewed plan still holds."""
    wanted = id_or_404(event_id)
    delivery_id = id_param("delivery", request.form)
    again = request.form.get("again") == "1"
    reason = request.form.get("reason", "").replace("\x00", "").strip()[:LONGEST_REASON]
    agreed = request.form.getlist("plan")
    if again and not reason:
        return _preview(wanted, delivery_id, status=422, reason_missing=True)
    with writing() as connection:
        find_event(connection, wanted)
        planned = preview_deliveries(connection, hub(), _where(wanted, delivery_id), again=again)
        going = [one for one in planned if one.plan is not Plan.REFUSED and _said(one) in agreed]
        count = replay_deliveries(
            connection, hub(), going, actor=current_user().actor, now=now(), reason=reason or None
        )
    if count:
        hub().waker.wake()
    _tell(count, len(agreed))
    return _back(wanted)


@dashboard.post("/events/<event_id>/routes")
@requires(Permission.OPERATE)
def apply_routes_to_event(event_id: str) -> BaseResponse:
    wanted = id_or_404(event_id)
    with writing() as connection:
        names = apply_routes(connection, hub(), wanted, actor=current_user().actor, now=now())
    if names:
        hub().waker.wake()
        flash(f"On its way: {', '.join(names)}.", "good")
    else:
        flash("Nothing was missing: every route of today that takes it has done so.", "doubt")
    return _back(wanted)


@dashboard.get("/events/<event_id>/copy")
@requires(Permission.OPERATE)
def copy_event_page(event_id: str) -> Response:
    wanted = id_or_404(event_id)
    if not current_user().sees_personal:
        raise Forbidden
    connection = db.session.connection()
    row = find_event(connection, wanted)
    again = read_again(connection, hub(), row)
    note_view(connection, current_user(), f"event {wanted}", now())
    kept = {name: value for name, value in as_event(row, again).data.items() if name != "native"}
    text = orjson.dumps(kept, option=orjson.OPT_INDENT_2).decode()
    gone = body_deleted_at(connection, row.request_id) is not None
    return page(
        "event_copy.html", event=row, text=text, form=new_id(now()), fault=None, body_gone=gone
    )


@dashboard.post("/events/<event_id>/copy")
@requires(Permission.OPERATE)
def make_copy(event_id: str) -> BaseResponse:
    """Store an edited copy, and match it against the current routes; the original is unchanged."""
    wanted = id_or_404(event_id)
    if not current_user().sees_personal:
        raise Forbidden
    text, form = request.form.get("data", ""), request.form.get("form", "")[:64]
    try:
        data = read_edited(text)
        with writing() as connection:
            copy_id, count = copy_event(
                connection, hub(), wanted, data, actor=current_user().actor, now=now(), form=form
            )
    except Refused as error:
        connection = db.session.connection()
        row = find_event(connection, wanted)
        return page("event_copy.html", 422, event=row, text=text, form=form, fault=str(error))
    hub().waker.wake()
    runs = f"{count} {'delivery' if count == 1 else 'deliveries'}"
    flash(f"This is the copy; {runs if count else 'no route'} took it.", "good")
    return redirect(url_for(".event_page", event_id=copy_id), 303)


@dashboard.post("/events/<event_id>/held")
@requires(Permission.OPERATE)
def decide_held(event_id: str) -> BaseResponse:
    """Release or discard a held event."""
    wanted, answer = id_or_404(event_id), request.form.get("answer")
    reason = request.form.get("reason", "").replace("\x00", "").strip()[:LONGEST_REASON]
    who: dict[str, Any] = {"actor": current_user().actor, "now": now()}
    if answer not in ("release", "discard"):
        raise BadRequest
    with writing() as connection:
        if answer == "release":
            held.release(connection, hub(), wanted, reason=reason or None, **who)
        else:
            held.discard(connection, wanted, reason=reason, **who)
    hub().waker.wake()
    flash("Released: it runs now." if answer == "release" else "Discarded: it is kept, and does "
          "nothing.", "good")  # fmt: skip
    return _back(wanted)


def _preview(
    wanted: UUID, delivery_id: UUID | None, *, status: int = 200, reason_missing: bool = False
) -> Response:
    connection = db.session.connection()
    row = find_event(connection, wanted)
    planned = preview_deliveries(connection, hub(), _where(wanted, delivery_id))
    twice = preview_deliveries(connection, hub(), _where(wanted, delivery_id), again=True)
    going = [one for one in planned if one.plan is not Plan.REFUSED]
    second = [one for one in twice if one.plan is Plan.AGAIN]
    left = [one for one in planned if one.plan is Plan.REFUSED and one.delivery_id
            not in {each.delivery_id for each in second}]  # fmt: skip
    return page(
        "event_replay.html",
        status,
        event=row,
        delivery_id=delivery_id,
        going=going,
        second=second,
        left=left,
        plans=PLANS,
        said=_said,
        reason_missing=reason_missing,
    )


def _where(wanted: UUID, delivery_id: UUID | None) -> dict[str, Any]:
    return {"event": wanted} | ({"ids": [delivery_id]} if delivery_id else {})


def _said(planned: Planned) -> str:
    """Return the form value that confirms one delivery's plan: `<delivery id>:<plan>`."""
    return f"{planned.delivery_id}:{planned.plan}"


def _tell(count: int, agreed: int) -> None:
    if count and count == agreed:
        flash("On its way." if count == 1 else f"{count} deliveries are on their way.", "good")
    elif count:
        flash(f"{count} of {agreed} are on their way; the others moved on meanwhile.", "doubt")
    else:
        flash(SOMEBODY_WAS_QUICKER if agreed else "Nothing was chosen.", "doubt")


def _back(wanted: UUID) -> BaseResponse:
    return redirect(url_for(".event_page", event_id=wanted), 303)
