"""Replay: running deliveries again because somebody asked, and never by accident a second time.

After a certain rejection parameters are rendered anew under the key `<delivery>.<n>`, so that
mending hub.yaml helps. As long as an earlier attempt may have been processed, key and parameters
stay as they were. What succeeded is refused unless asked for in so many words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, select, update

from hub.core.audit import note
from hub.core.errors import Refused
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    StoredEvent,
    database_now,
)


class Plan(StrEnum):
    """What a replay would make of a delivery."""

    ANEW = "anew"  # rendered again, under a new key
    REPEAT = "repeat"  # the same key and bytes: an earlier attempt may have been processed
    NOW = "now"  # it is waiting to be tried again: at once
    AGAIN = "again"  # it succeeded, and is to happen a second time
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery, what a replay makes of it, and why it is refused if it is."""

    delivery_id: UUID
    event_id: UUID
    route: str
    destination: str
    action: str
    state: str
    plan: Plan
    why: str = ""


_FILTERS = {
    "state": Delivery.state,
    "destination": Delivery.destination,
    "route": Delivery.route,
    "action": Delivery.action,
    "event": Delivery.event_id,
    "type": StoredEvent.type,
    "source": StoredEvent.source,
}
FILTER_NAMES = frozenset(_FILTERS)


def preview(connection: Connection, where: dict[str, Any], *, again: bool = False) -> list[Planned]:
    """Return what a replay of these deliveries would do. `where` has names of `FILTER_NAMES`.

    `id` selects one delivery, `event` all of an event.
    """
    open_doubt = exists().where(
        Attempt.delivery_id == Delivery.id,
        Attempt.state == AttemptState.IN_DOUBT,
    )
    statement = select(
        Delivery.id,
        Delivery.event_id,
        Delivery.route,
        Delivery.destination,
        Delivery.action,
        Delivery.state,
        open_doubt.label("doubt"),
    ).join(StoredEvent, StoredEvent.id == Delivery.event_id)
    for name, wanted in where.items():
        column = Delivery.id if name == "id" else _FILTERS[name]
        statement = statement.where(column == wanted)
    rows = connection.execute(statement.order_by(Delivery.id))
    return [_plan(row, again=again) for row in rows]


def replay(
    connection: Connection,
    planned: Sequence[Planned],
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> int:
    """Make the planned deliveries due; return how many were. Those that moved on meanwhile stay.

    Raises:
        Refused: something is to happen a second time, and no reason is given.
    """
    if any(one.plan is Plan.AGAIN for one in planned) and not (reason or "").strip():
        raise Refused("what succeeded happens again only with a reason: --again --reason '...'")
    count = 0
    for one in planned:
        if one.plan is Plan.REFUSED:
            continue
        changed = connection.execute(
            update(Delivery)
            .where(Delivery.id == one.delivery_id, Delivery.state == one.state)
            .values(**_values(one.plan))
        )
        if not changed.rowcount:
            continue
        count += 1
        note(
            connection,
            actor=actor,
            action=f"replay.{one.plan}",
            subject=f"delivery {one.delivery_id}",
            now=now,
            reason=reason,
            detail={"from": one.state},
        )
    return count


def _plan(row: Any, *, again: bool) -> Planned:
    plan, why = _decide(row.state, doubt=row.doubt, again=again)
    return Planned(
        row.id, row.event_id, row.route, row.destination, row.action, row.state, plan, why
    )


def _decide(state: str, *, doubt: bool, again: bool) -> tuple[Plan, str]:
    if state == DeliveryState.SUCCEEDED:
        if again:
            return Plan.AGAIN, ""
        return Plan.REFUSED, "it succeeded; --again --reason '...' makes it happen a second time"
    if state == DeliveryState.UNKNOWN:
        return Plan.REFUSED, "nobody knows whether it happened: `hub settle` it first"
    if state in (DeliveryState.RUNNING, DeliveryState.PENDING):
        return Plan.REFUSED, "it is already on its way"
    if state in (DeliveryState.RETRYING, DeliveryState.WAITING):
        return Plan.NOW, ""
    return (Plan.REPEAT if doubt else Plan.ANEW), ""


def _values(plan: Plan) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": DeliveryState.PENDING,
        "next_attempt_at": database_now(),
        "finished_at": None,
    }
    if plan is Plan.NOW:
        return {"next_attempt_at": database_now()}
    if plan in (Plan.ANEW, Plan.AGAIN):
        values["key_n"] = Delivery.key_n + 1
    return values | {"tries": 0, "since": database_now(), "error": None}
