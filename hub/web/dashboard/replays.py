"""`/replays`: bulk replays, their progress and items, and their pause and cancellation."""

from typing import Any

from flask import Response, flash, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from hub.core.auth.roles import Permission
from hub.core.explain import side_effects
from hub.core.models import ReplayState
from hub.core.queries.deliveries import events_of
from hub.core.replays import advance, status
from hub.core.replays.preview import PlanGroup
from hub.core.replays.replay import Plan
from hub.core.replays.status import ItemOutcome
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.params import id_or_404, id_param
from hub.web.dashboard.permissions import current_user, hub, now, requires
from hub.web.dashboard.rendering import page
from hub.web.database import db, writing

PAGE = 50
SMALL = 5000
BECAME = {
    ItemOutcome.SUCCEEDED: ("good", "✓", "succeeded"),
    ItemOutcome.SAME_ERROR: ("bad", "✕", "failed as before"),
    ItemOutcome.OTHER_ERROR: ("bad", "✕", "failed otherwise"),
    ItemOutcome.UNKNOWN: ("doubt", "?", "unknown"),
    ItemOutcome.SKIPPED: ("quiet", "–", "skipped"),
    ItemOutcome.ON_ITS_WAY: ("wait", "…", "on its way"),
    ItemOutcome.LEFT: ("quiet", "–", "left alone"),
    ItemOutcome.NOT_YET: ("wait", "…", "not begun"),
    ItemOutcome.GONE: ("quiet", "–", "not kept any more"),
}


@dashboard.get("/replays")
@requires(Permission.VIEW)
def replays_page() -> Response:
    start = id_param("before")
    connection = db.session.connection()
    rows = status.list_replays(connection, limit=PAGE + 1, before=start)
    more = len(rows) > PAGE
    return page(
        "replays.html",
        rows=rows[:PAGE],
        older=url_for("dashboard.replays_page", before=rows[PAGE - 1].id) if more else None,
        newest=url_for("dashboard.replays_page") if start else None,
    )


@dashboard.get("/replays/<replay_id>")
@requires(Permission.VIEW)
def replay_page(replay_id: str) -> Response:
    found_id, became, after = id_or_404(replay_id), _became(), id_param("after")
    connection = db.session.connection()
    row = status.replay_row(connection, found_id)
    counts = status.counts(connection, row)
    items = status.items(connection, found_id, became=became, limit=PAGE, after=after)
    ids = [one.event_id for one in items.rows if one.event_id]
    events = events_of(connection, ids)
    here = url_for("dashboard.replay_page", replay_id=found_id, became=became)
    next_page = url_for(
        "dashboard.replay_page", replay_id=found_id, became=became, after=items.after
    )
    return page(
        "replay.html",
        replay=row,
        counts=counts,
        items=items,
        events=events,
        became=became,
        words=BECAME,
        going=row.state in advance.GOING or counts.get(ItemOutcome.ON_ITS_WAY, 0) > 0,
        every_s=_looks_every_s(row),
        eta_s=status.eta_s(row),
        left_out=[_left_out(one) for one in row.left_out],
        more=next_page if items.after else None,
        first=here if after else None,
    )


@dashboard.post("/replays/<replay_id>/<turn>")
@requires(Permission.OPERATE)
def turn_replay(replay_id: str, turn: str) -> BaseResponse:
    """Pause, continue or cancel a replay."""
    turns = {
        "pause": (advance.pause, "Paused. What is on its way already goes on."),
        "continue": (advance.resume, "It goes on."),
        "cancel": (advance.cancel, "Cancelled. What had not begun stays as it was."),
    }
    if turn not in turns:
        raise BadRequest
    make, words = turns[turn]
    found_id = id_or_404(replay_id)
    with writing() as connection:
        make(connection, found_id, actor=current_user().actor, now=now())
    flash(words, "good")
    return redirect(url_for("dashboard.replay_page", replay_id=found_id), 303)


def _looks_every_s(row: Any) -> int:
    """Return the polling interval of the page in seconds: large replays take longer to count."""
    if row.state != ReplayState.RUNNING:
        return 10
    return 2 if row.total <= SMALL else 10


def _became() -> ItemOutcome | None:
    text = request.args.get("became")
    if not text:
        return None
    if text not in list(ItemOutcome):
        raise BadRequest
    return ItemOutcome(text)


def _left_out(group: dict[str, Any]) -> str:
    found = PlanGroup(
        group["destination"], group["action"], Plan.REFUSED, group["state"],
        group["may_have"], group["count"], is_lost=group.get("is_lost", False),
    )  # fmt: skip
    return side_effects.what_happens(hub().configuration, found)
