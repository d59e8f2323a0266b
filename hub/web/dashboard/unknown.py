"""`/unknown`: unknown outcomes, their evidence, and the three answers that settle them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.audit_views import note_view
from hub.core.auth.redaction import MASK
from hub.core.auth.roles import Permission
from hub.core.delivery.settle import SettleAnswer
from hub.core.explain.errors import ANSWERS
from hub.core.explain.side_effects import side_effect_of
from hub.core.queries import unknown
from hub.core.queries.deliveries import events_of
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.masking import personal, sees_personal
from hub.web.dashboard.params import id_or_404, id_param, instant_param
from hub.web.dashboard.permissions import current_user, hub, now, requires, sent_to_prove
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

PAGE = 20
EXAMPLES = 5
LONGEST_REASON = 500
SUBJECT = "outcomes that are unknown"
# Parameters of an action that say whom it reaches.
RECIPIENTS = ("to", "cc", "bcc", "email")
NAMED_RECIPIENTS = 3


@dashboard.get("/unknown")
@requires(Permission.VIEW)
def unknown_page() -> Response:
    start = id_param("before")
    connection = db.session.connection()
    found = unknown.list_unknown(connection, hub(), limit=PAGE, before=start)
    events = events_of(connection, [row.event_id for row in found.rows])
    alike = unknown.alike(connection)
    if found.rows:
        _note_view()
    return page(
        "unknown.html",
        rows=found.rows,
        events=events,
        alike=alike,
        answers=ANSWERS,
        older=url_for("dashboard.unknown_page", before=found.older) if found.older else None,
        newest=url_for("dashboard.unknown_page") if start else None,
    )


@dashboard.get("/unknown/alike")
@requires(Permission.OPERATE)
def alike_page() -> Response:
    """Show the unknown outcomes of one destination, action and minute, to settle them together."""
    destination, action = request.args.get("destination", ""), request.args.get("action", "")
    if "\x00" in destination + action:
        raise BadRequest
    since = instant_param(request.args.get("minute", ""))
    connection = db.session.connection()
    ids = unknown.ids_alike(connection, destination, action, since)
    return _asked(ids)


@dashboard.post("/unknown")
@requires(Permission.OPERATE)
def answer_unknown() -> BaseResponse:
    """Settle unknown outcomes. Sending again must be confirmed; for several, with the password."""
    answer, ids = _answer(), [id_or_404(text) for text in request.form.getlist("ids")]
    reason = request.form.get("reason", "").strip()
    if not 0 < len(ids) <= unknown.MOST_ALIKE or len(reason) > LONGEST_REASON or "\x00" in reason:
        raise BadRequest
    sure = request.form.get("sure") == answer
    if not reason or (answer is SettleAnswer.AGAIN and not sure):
        return _asked(ids, answer=answer, reason=reason)
    if answer is SettleAnswer.AGAIN and len(ids) > 1 and not current_user().has_proved(now()):
        return sent_to_prove()
    with writing() as connection:
        done = unknown.answer_all(
            connection, ids, answer, reason=reason, actor=current_user().actor, now=now()
        )
    if done.settled:
        hub().waker.wake()
        words = ANSWERS[answer][0].lower()
        flash(
            f"Noted for {done.settled:,}: “{words}”." if len(ids) > 1 else f"Noted: {words}.",
            "good",
        )
    if done.before:
        others = (
            f" And {len(done.before) - 1:,} more were settled before." if done.before[1:] else ""
        )
        flash(f"Nothing was changed: {_before(done.before[0])}.{others}", "doubt")
    return redirect(url_for("dashboard.unknown_page"), 303)


@dashboard.app_template_global("what_it_was")
def what_it_was(row: Any) -> str:
    """Return the side effect of a delivery and its recipients: `text message to +12025550101`."""
    thing = side_effect_of(hub().configuration, row.destination, row.action).one
    named = [row.parameters.get(name) for name in RECIPIENTS]
    reached = [one for value in named for one in (value if isinstance(value, list) else [value])]
    return f"{thing} to {_reached(reached)}" if any(reached) else thing


@dashboard.app_template_global("so_many")
def so_many(group: unknown.Alike) -> str:
    """Return the count of side effects in a group: `9 text messages through sms`."""
    thing = side_effect_of(hub().configuration, group.destination, group.action)
    return f"{thing.counted(group.count)} {thing.where} {group.destination}"


def _reached(recipients: Sequence[Any]) -> str:
    """Return the first recipients, and how many more there are."""
    named = [_recipient(one) for one in recipients if one]
    more = f" and {len(named) - NAMED_RECIPIENTS} more" if len(named) > NAMED_RECIPIENTS else ""
    return ", ".join(named[:NAMED_RECIPIENTS]) + more


def _recipient(value: Any) -> str:
    """Return a recipient; masked if the user may not see it."""
    if isinstance(value, Mapping):
        value = value.get("email", "")
    return str(personal(str(value)))


def _before(sentence: str) -> str:
    """Return what became of an outcome before; the reason that a person gave is masked."""
    said, parenthesis, _ = sentence.partition(" (")
    return sentence if sees_personal() or not parenthesis else f"{said} ({MASK})"


def _asked(
    ids: Sequence[UUID], *, answer: SettleAnswer | None = None, reason: str = ""
) -> Response:
    """Show the effect of an answer on deliveries, before it is given."""
    connection = db.session.connection()
    rows = unknown.unknown_deliveries(connection, hub(), ids)
    events = events_of(connection, [row.event_id for row in rows[:EXAMPLES]])
    if rows:
        _note_view()
    return page(
        "settle.html",
        rows=rows,
        events=events,
        examples=EXAMPLES,
        answer=answer,
        reason=reason,
        answers=ANSWERS,
    )


def _note_view() -> None:
    with writing() as connection:
        note_view(connection, current_user(), SUBJECT, now())


def _answer() -> SettleAnswer:
    text = request.form.get("answer")
    if text not in list(SettleAnswer):
        raise BadRequest
    return SettleAnswer(str(text))
