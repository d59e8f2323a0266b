"""`/requests/<id>`: one inbound request as it arrived, and ingesting it again."""

from typing import Any

from flask import Response, flash, redirect, url_for
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.wrappers import Response as BaseResponse

from hub.core.audit import record_action
from hub.core.auth.audit_views import note_view
from hub.core.auth.roles import Permission
from hub.core.errors import Refused
from hub.core.events.reingest import reingest
from hub.core.explain.rejections import advice_for
from hub.core.models import RequestState
from hub.core.queries import event_detail as board
from hub.core.rehydrate import require_body
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.event import body_shown, download
from hub.web.dashboard.masking import redacted_sentence, sees_personal
from hub.web.dashboard.params import id_or_404
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing


@dashboard.get("/requests/<request_id>")
@requires(Permission.VIEW)
def request_page(request_id: str) -> Response:
    wanted = id_or_404(request_id)
    connection = db.session.connection()
    row = board.request_of(connection, wanted)
    if row is None:
        raise NotFound
    body = body_shown(connection, row)
    events = board.events_of(connection, row)
    note_view(connection, current_user(), f"request {wanted}", now())
    return page("request.html", request_row=row, body=body, events=events)


@dashboard.get("/requests/<request_id>/raw")
@requires(Permission.VIEW)
def request_raw(request_id: str) -> Response:
    """Answer with the exact bytes, as a text file that a browser saves and does not run."""
    if not current_user().sees_personal:
        raise Forbidden
    wanted = id_or_404(request_id)
    connection = db.session.connection()
    body = board.body_of(connection, wanted)
    if body is None:
        require_body(connection, wanted)
        raise NotFound
    note_view(connection, current_user(), f"request {wanted}", now())
    return download(body, f"request-{wanted}.txt", "text/plain")


@dashboard.app_template_global("refusal")
def refusal(row: Any) -> str:
    """Return the reason why a request was not taken in; if masked, what it means in our words."""
    reason: str = row.reason
    if sees_personal():
        return reason[:1].upper() + reason[1:]
    advice = advice_for(reason, url=row.url, headers=row.headers, public_url=hub().public_url)
    return redacted_sentence(advice.words) if advice.quotes else advice.words


@dashboard.post("/requests/<request_id>/again")
@requires(Permission.OPERATE)
def take_request_in_again(request_id: str) -> BaseResponse:
    """Verify the request again, against the time it arrived, parse it again, and ingest it."""
    wanted = id_or_404(request_id)
    try:
        with writing() as connection:
            taken = reingest(connection, hub(), wanted)
            record_action(
                connection,
                actor=current_user().actor,
                action="request.again",
                subject=f"request {wanted}",
                now=now(),
                detail={"became": taken.state},
            )
    except Refused as error:
        flash(f"Not taken in: {redacted_sentence(str(error)).rstrip('.')}.", "bad")
        return redirect(url_for(".request_page", request_id=wanted), 303)
    if taken.new_event_ids:
        hub().waker.wake()
        flash("Taken in: this is what happened.", "good")
        return redirect(url_for(".event_page", event_id=taken.new_event_ids[0]), 303)
    if taken.state == RequestState.UNREADABLE:
        flash("It verifies, but it still cannot be read. The reason is below.", "bad")
    else:
        flash("It had been taken in before: nothing was done a second time.", "doubt")
    return redirect(url_for(".request_page", request_id=taken.request_id), 303)
