"""Release of running replays at their rate; pausing and cancelling take effect within a batch.

Each batch is one transaction that locks the replay's row, so that neither two clocks nor a killed
one can release a delivery twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, update

from hub.core.audit import record_action
from hub.core.errors import NotFound, Refused
from hub.core.hub import Hub
from hub.core.models import (
    Delivery,
    DeliveryState,
    ItemState,
    Replay,
    ReplayItem,
    ReplayState,
    database_now,
)
from hub.core.replays.bodies import BODY_GONE
from hub.core.replays.replay import Plan, Planned, make_due
from hub.core.replays.replay import preview_deliveries as preview_rows

# Most deliveries released in one transaction, so that other transactions do not wait for long.
AT_ONCE = 200
# Longest time for which an unused rate accumulates.
CATCHES_UP = timedelta(seconds=5)
GOING = (ReplayState.RUNNING, ReplayState.PAUSED)


def release_batch(
    connection: Connection, hub: Hub, replay_id: UUID, *, now: datetime, at_once: int = AT_ONCE
) -> int:
    """Release as many deliveries of a replay as its rate allows; return how many were examined.

    `at_once`: the most deliveries of this transaction.

    Do nothing while another process does the same, or if the replay is paused or has ended.
    """
    replay = connection.execute(
        select(Replay)
        .with_only_columns(*Replay.__table__.c, database_now().label("at"))
        .where(Replay.id == replay_id, Replay.state == ReplayState.RUNNING)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if replay is None:
        return 0
    since = max(replay.paid_until, replay.at - max(CATCHES_UP, release_interval(replay.per_minute)))
    allowed = int((replay.at - since).total_seconds() * replay.per_minute / 60)
    most = min(at_once, allowed)
    if most < 1:
        return 0
    items = _next(connection, replay, most + 1)
    moved_on = _run(connection, hub, replay, items[:most], now=now)
    looked_at = len(items[:most])
    values: dict[str, Any] = {
        "queued": Replay.queued + looked_at - moved_on,
        "moved_on": Replay.moved_on + moved_on,
        "paid_until": since + timedelta(seconds=looked_at * 60 / replay.per_minute),
    }
    if looked_at:
        values["reached"] = items[:most][-1].delivery_id
    if len(items) <= most:
        values |= {"state": ReplayState.DONE, "finished_at": now}
    connection.execute(update(Replay).where(Replay.id == replay_id).values(**values))
    return looked_at


def release_interval(per_minute: int) -> timedelta:
    """Return the interval between two deliveries at a rate of `per_minute`."""
    return timedelta(seconds=60 / per_minute)


def running(connection: Connection) -> Sequence[UUID]:
    """Return the ids of the running replays, oldest first."""
    found = select(Replay.id).where(Replay.state == ReplayState.RUNNING).order_by(Replay.id)
    return connection.execute(found).scalars().all()


def pause(connection: Connection, replay_id: UUID, *, actor: str, now: datetime) -> None:
    """Pause a replay: no delivery is released until it is resumed.

    Raises:
        NotFound, Refused: there is no such replay, or it is not running.
    """
    _turn(connection, replay_id, [ReplayState.RUNNING], ReplayState.PAUSED)
    record_action(
        connection, actor=actor, action="replay.pause", subject=f"replay {replay_id}", now=now
    )


def resume(connection: Connection, replay_id: UUID, *, actor: str, now: datetime) -> None:
    """Resume a paused replay.

    Raises:
        NotFound, Refused: there is no such replay, or it is not paused.
    """
    _turn(
        connection, replay_id, [ReplayState.PAUSED], ReplayState.RUNNING, paid_until=database_now()
    )
    record_action(
        connection, actor=actor, action="replay.continue", subject=f"replay {replay_id}", now=now
    )


def cancel(connection: Connection, replay_id: UUID, *, actor: str, now: datetime) -> None:
    """Cancel a replay: deliveries not yet released stay as they are.

    Raises:
        NotFound, Refused: there is no such replay, or it has ended.
    """
    _turn(connection, replay_id, GOING, ReplayState.CANCELLED, finished_at=now)
    record_action(
        connection, actor=actor, action="replay.cancel", subject=f"replay {replay_id}", now=now
    )


def _next(connection: Connection, replay: Any, most: int) -> Sequence[Any]:
    items = select(ReplayItem.delivery_id, ReplayItem.plan).where(ReplayItem.replay_id == replay.id)
    if replay.reached:
        items = items.where(ReplayItem.delivery_id > replay.reached)
    return connection.execute(items.order_by(ReplayItem.delivery_id).limit(most)).all()


def _run(
    connection: Connection, hub: Hub, replay: Any, items: Sequence[Any], *, now: datetime
) -> int:
    """Replay the items whose plan still holds; return how many deliveries had moved on."""
    if not items:
        return 0
    ids = [item.delivery_id for item in items]
    current = {
        one.delivery_id: one
        for one in preview_rows(connection, hub, {"ids": ids}, again=replay.again, lock=True)
    }
    done = _done_since(connection, ids, replay.created_at) if replay.again else set()
    agreed = [
        one
        for item in items
        if (one := current.get(item.delivery_id)) and one.plan == item.plan
        if one.plan is not Plan.AGAIN or one.delivery_id not in done
    ]
    make_due(connection, hub, agreed, actor=replay.actor, now=now, reason=replay.reason)
    queued = {one.delivery_id for one in agreed}
    connection.execute(
        update(ReplayItem)
        .where(ReplayItem.replay_id == replay.id, ReplayItem.delivery_id.in_(queued))
        .values(state=ItemState.QUEUED, queued_at=now)
    )
    left = [{"id": id, "why": skip_reason(current.get(id))} for id in ids if id not in queued]
    if left:
        connection.execute(_LEAVE.where(ReplayItem.replay_id == replay.id), left)
    return len(left)


def _done_since(connection: Connection, ids: Sequence[UUID], at: datetime) -> set[UUID]:
    """Return the deliveries that ended after an instant.

    Another replay may have repeated them meanwhile, and no person has asked for a third time.
    """
    since = select(Delivery.id).where(Delivery.id.in_(ids), Delivery.finished_at > at)
    return set(connection.execute(since).scalars())


_LEAVE = (
    update(ReplayItem)
    .where(ReplayItem.delivery_id == bindparam("id"))
    .values(state=ItemState.LEFT, why=bindparam("why"))
)


def skip_reason(found: Planned | None) -> str:
    """Return the reason why a delivery that has moved on since its selection is left as it is."""
    if found is None:
        return "it is not kept any more"
    if found.why == BODY_GONE:
        return BODY_GONE
    if found.state == DeliveryState.UNKNOWN:
        return "nobody knows by now whether it happened: settle it first"
    if found.state in (DeliveryState.RUNNING, DeliveryState.PENDING):
        return "it was on its way already"
    if found.state == DeliveryState.SUCCEEDED:
        return "it had succeeded meanwhile"
    return f"it had moved on meanwhile, and was {found.state}"


def _turn(
    connection: Connection,
    replay_id: UUID,
    before: Sequence[ReplayState],
    after: ReplayState,
    **values: Any,
) -> None:
    changed = connection.execute(
        update(Replay)
        .where(Replay.id == replay_id, Replay.state.in_(before))
        .values(state=after, **values)
    )
    if changed.rowcount:
        return
    state = connection.execute(select(Replay.state).where(Replay.id == replay_id)).scalar()
    if state is None:
        raise NotFound("there is no such replay")
    raise Refused(f"the replay is {state}: nothing was changed")
