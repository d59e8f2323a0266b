"""Creation of bulk replays: repeated requests for the same one create a single replay.

A replay and its items are inserted together; from then on it advances by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, insert, literal, null, select, update

from hub.core.audit import record_action
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.ids import new_id
from hub.core.models import (
    Delivery,
    ItemState,
    Replay,
    ReplayItem,
    ReplayState,
    database_later,
    insert_if_new,
)
from hub.core.replays.advance import GOING, release_interval
from hub.core.replays.preview import LOST, Preview, plan_of, preview_selection
from hub.core.replays.replay import Plan
from hub.core.replays.selection import Selection

SAME_WITHIN = timedelta(minutes=1)
# Bounds of the rate, in deliveries per minute.
SLOWEST, FASTEST = 1, 600_000


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Request for a replay. `token` is the form's one-time token.

    `seen` is the number of deliveries in the preview that the person saw at `seen_at`;
    `seen_twice` is the number of those that happen a second time.
    """

    selection: Selection
    token: str
    per_minute: int
    again: bool = False
    reason: str | None = None
    seen: int | None = None
    seen_twice: int | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Replay that fulfils a request; `is_new` is False if it existed already."""

    replay_id: UUID
    is_new: bool


def create_replay(
    connection: Connection, hub: Hub, wish: ReplayRequest, *, actor: str, now: datetime
) -> Started:
    """Insert a replay with all its items.

    A second request by the same form returns the same replay. So does a request of any person for
    the same selection if such a replay is in progress or ended after the preview was shown.

    Raises:
        Refused: nothing would run, there is far more than was seen, or a reason is missing.
    """
    fingerprint = wish.selection.fingerprint(again=wish.again)
    if known := _same(connection, wish, fingerprint, now):
        return Started(known, is_new=False)
    seen = _as_seen(wish)
    foreseen = preview_selection(connection, hub, seen, again=wish.again, examples=0)
    try:
        _check(wish, foreseen)
    except Refused:
        # A concurrent start of the same replay may have committed since, with these deliveries.
        if known := _same(connection, wish, fingerprint, now):
            return Started(known, is_new=False)
        raise
    left_out = [
        {"destination": group.destination, "action": group.action, "state": group.state,
         "may_have": group.may_have, "count": group.count, "is_lost": group.is_lost}
        for group in foreseen.left
    ]  # fmt: skip
    replay_id = connection.execute(
        insert_if_new(connection, Replay)
        .values(
            id=new_id(now),
            token=wish.token,
            fingerprint=fingerprint,
            state=ReplayState.RUNNING,
            actor=actor,
            reason=wish.reason,
            filter=wish.selection.as_json(),
            again=wish.again,
            per_minute=wish.per_minute,
            total=0,
            left_out=left_out,
            paid_until=database_later(-max(1.0, release_interval(wish.per_minute).total_seconds())),
            created_at=now,
        )
        .returning(Replay.id)
    ).scalar_one_or_none()
    # A concurrent request inserted the same replay first.
    if replay_id is None:
        known = _same(connection, wish, fingerprint, now)
        if known is None:
            raise Refused("the same replay ended just now: look at what is left of it")
        return Started(known, is_new=False)
    _take_in(connection, hub, seen, replay_id, again=wish.again)
    record_action(
        connection,
        actor=actor,
        action="replay.start",
        subject=f"replay {replay_id}",
        now=now,
        reason=wish.reason,
        detail={"filter": wish.selection.as_json(), "again": wish.again, "total": foreseen.total},
    )
    return Started(replay_id, is_new=True)


def _same(
    connection: Connection, wish: ReplayRequest, fingerprint: str, now: datetime
) -> UUID | None:
    """Return the id of the replay that this request has created already; None if there is none."""
    looked_at = wish.seen_at or now - SAME_WITHIN
    going = Replay.state.in_(GOING)
    meanwhile = (Replay.state == ReplayState.DONE) & (Replay.created_at > looked_at)
    alike = (Replay.fingerprint == fingerprint) & (going | meanwhile)
    return connection.execute(
        select(Replay.id)
        .where((Replay.token == wish.token) | alike)
        .order_by(Replay.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _check(wish: ReplayRequest, foreseen: Preview) -> None:
    total, twice = foreseen.total, foreseen.twice
    if not SLOWEST <= wish.per_minute <= FASTEST:
        raise Refused(f"the rate must be between {SLOWEST} and {FASTEST} a minute")
    if not total:
        raise Refused("nothing of this would run again now: look below why")
    if wish.seen is not None and total > wish.seen * 1.1 + 10:
        raise Refused(f"it was {wish.seen} and is {total} by now: look again before you start")
    if wish.seen_twice is not None and twice > wish.seen_twice:
        raise Refused(
            f"{twice} would happen a second time by now, and not {wish.seen_twice}: look "
            "again before you start"
        )
    if twice and not (wish.reason or "").strip():
        raise Refused("something would happen a second time: say why")


def _as_seen(wish: ReplayRequest) -> Selection:
    """Return the selection without deliveries created after its preview was shown."""
    ends = [one for one in (wish.selection.until, wish.seen_at) if one]
    return replace(wish.selection, until=min(ends)) if ends else wish.selection


def _take_in(
    connection: Connection, hub: Hub, seen: Selection, replay_id: UUID, *, again: bool
) -> None:
    plan = plan_of(connection, hub, seen, again=again)
    chosen = seen.apply(
        select(
            literal(replay_id, ReplayItem.replay_id.type),
            Delivery.id,
            plan,
            literal(ItemState.WAITING.value),
            Delivery.error,
            null(),
            null(),
        )
    ).where(plan.not_in([Plan.REFUSED, LOST]))
    names = [column.name for column in ReplayItem.__table__.c]
    connection.execute(insert(ReplayItem).from_select(names, chosen))
    taken = select(func.count()).where(ReplayItem.replay_id == replay_id)
    connection.execute(
        update(Replay).where(Replay.id == replay_id).values(total=taken.scalar_subquery())
    )
