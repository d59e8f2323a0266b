"""`/replays/preview`: preview of a bulk replay, and its start."""

import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Response, flash, redirect, request, url_for
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.roles import Permission
from hub.core.errors import Refused
from hub.core.explain import side_effects
from hub.core.queries.deliveries import events_of
from hub.core.replays import advance, create, preview
from hub.core.replays.create import ReplayRequest
from hub.core.replays.replay import Plan
from hub.core.replays.selection import Selection
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.params import arguments_of, instant_param, selection_param
from hub.web.dashboard.permissions import current_user, hub, now, own_path, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

# Rates in deliveries per minute, with their labels; the first, a gentle one, is the default.
RATES = ((60, "1 a second"), (300, "5 a second"), (1200, "20 a second"), (600_000, "All at once"))
UNITS = {"second": 60, "minute": 1}
LONGEST_REASON = 500


@dashboard.app_template_filter("lasting")
def lasting(seconds: float) -> str:
    """Format an approximate duration: `8 minutes`."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size * 1.5:
            return f"{round(seconds / size)} {unit}s"
    whole = max(1, round(seconds))
    return f"{whole} second{'s' if whole != 1 else ''}"


@dashboard.get("/replays/preview")
@requires(Permission.OPERATE)
def preview_page() -> BaseResponse:
    """Show the effects of a replay, with a form to start it."""
    if request.args.get("chosen") and not request.args.getlist("ids"):
        flash("Select deliveries first, or replay all that match.", "doubt")
        return redirect(_list_they_came_from())
    return _previewed()


@dashboard.post("/replays/preview")
@requires(Permission.OPERATE)
def go_to_preview() -> BaseResponse:
    """Redirect to the preview of a form's selection, so that it has a URL of its own."""
    again = bool(request.form.get("again"))
    return redirect(_address(selection_param(request.form), again=again), 303)


@dashboard.post("/replays")
@requires(Permission.OPERATE, proof=True)
def start_replay() -> BaseResponse:
    """Start the previewed replay; the same form, sent twice, starts it once."""
    wish = _wish()
    try:
        with writing() as connection:
            started = create.create_replay(
                connection, hub(), wish, actor=current_user().actor, now=now()
            )
    except Refused as error:
        return _previewed(refused=f"Not started: {error}.")
    if started.is_new:
        _release_some(started.replay_id)
        flash("Started.", "good")
    else:
        flash("Already running: here it is. Nothing was started a second time.", "doubt")
    return redirect(url_for("dashboard.replay_page", replay_id=started.replay_id), 303)


def _previewed(*, refused: str | None = None) -> Response:
    selection = selection_param()
    again = bool(request.values.get("again"))
    connection = db.session.connection()
    foreseen = preview.preview_selection(connection, hub(), selection, again=again)
    ids = [one for group in foreseen.groups for one in group.examples]
    examples = preview.examples_of(connection, ids)
    events = events_of(connection, [one.event_id for one in examples.values()])
    lanes = preview.held_back(connection, {group.destination for group in foreseen.going})
    configuration = hub().configuration
    return page(
        "replay_preview.html",
        409 if refused else 200,
        refused=refused,
        foreseen=foreseen,
        selection=selection,
        arguments=arguments_of(selection),
        again=again,
        examples=examples,
        events=events,
        lanes=lanes,
        told=[_told(group) for group in foreseen.groups],
        rates=[(per_minute, name, preview.takes_s(configuration, foreseen, per_minute))
               for per_minute, name in RATES],
        proved=current_user().has_proved(now()),
        form_token=request.form.get("token") or secrets.token_urlsafe(16),
        reason=request.values.get("reason", "")[:LONGEST_REASON],
        here=_address(selection, again=again),
        other=_address(selection, again=not again),
    )  # fmt: skip


def _told(group: preview.PlanGroup) -> dict[str, Any]:
    """Describe a group of the plan; `twice`: a real side effect happens a second time."""
    configuration = hub().configuration
    return {
        "group": group,
        "words": side_effects.what_happens(configuration, group),
        "safety": side_effects.how_safe(configuration, group),
        "twice": group.plan is Plan.AGAIN
        and side_effects.is_live(configuration, group.destination),
    }


def _wish() -> ReplayRequest:
    seen_at = request.form.get("seen_at")
    token = request.form.get("token", "")
    reason = request.form.get("reason", "").strip()
    if not 8 <= len(token) <= 64 or not token.isascii() or not token.isprintable():
        raise BadRequest
    if len(reason) > LONGEST_REASON or "\x00" in reason:
        raise BadRequest
    return ReplayRequest(
        selection=selection_param(request.form),
        token=token,
        per_minute=_per_minute(),
        again=bool(request.form.get("again")),
        reason=reason or None,
        seen=_count("seen"),
        seen_twice=_count("seen_twice"),
        seen_at=instant_param(seen_at) if seen_at else None,
    )


def _count(name: str) -> int | None:
    text = request.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _per_minute() -> int:
    rate = request.form.get("rate", "")
    if rate != "other":
        return int(rate) if rate in {str(one) for one, _ in RATES} else RATES[0][0]
    count, unit = request.form.get("count", ""), request.form.get("unit", "")
    if not (count.isascii() and count.isdigit() and len(count) < 7) or unit not in UNITS:
        return 0  # refused later, with a message that names the possible rates
    return int(count) * UNITS[unit]


def _release_some(replay_id: UUID) -> None:
    """Release the first batch of a replay at once.

    The clock releases the following ones, and would release this one too: a database error is
    ignored.
    """
    try:
        with writing() as connection:
            advance.release_batch(connection, hub(), replay_id, now=now())
    except DBAPIError:
        return
    hub().waker.wake()


def _address(selection: Selection, *, again: bool) -> str:
    """Return the URL of a preview."""
    arguments = arguments_of(selection)
    return url_for("dashboard.preview_page", **arguments, again="1" if again else None)


def _list_they_came_from() -> str:
    split = urlsplit(request.referrer or "")
    path = own_path(f"{split.path}?{split.query}") if split.netloc == request.host else None
    lists = url_for("dashboard.deliveries_page")
    return path if path and path.startswith(lists) else lists
