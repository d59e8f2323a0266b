"""Replay: runs deliveries again on a person's request, and never by accident a second time.

After a certain rejection the parameters are rendered anew under the key `<delivery>.<n>`, so that
a correction of hub.yaml takes effect. As long as an earlier attempt may have been processed, key
and parameters stay as they were. A delivery that succeeded is refused unless the request asks for
it explicitly (`again`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, select, update
from sqlalchemy.orm import aliased

from adapters import Effect
from hub.core.audit import record_actions
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    StoredEvent,
    database_now,
)
from hub.core.replays.bodies import BODY_GONE, lost_bodies


class Plan(StrEnum):
    """Plan of a replay for one delivery."""

    # Rendered again, under a new key.
    ANEW = "anew"
    # The same key and bytes: an earlier attempt may have been processed.
    REPEAT = "repeat"
    # The delivery is waiting for its next try: try it at once.
    NOW = "now"
    # The delivery happened or may have happened, and is to happen a second time.
    AGAIN = "again"
    REFUSED = "refused"


_last = aliased(Attempt)
# Whether a delivery may have happened already. Only under the key of its last attempt: the outcomes
# under earlier keys are settled.
IN_DOUBT = exists().where(
    Attempt.delivery_id == Delivery.id,
    Attempt.state.in_([AttemptState.IN_DOUBT, AttemptState.ACCEPTED]),
    _last.delivery_id == Delivery.id,
    _last.n == Delivery.attempts,
    Attempt.key == _last.key,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """Delivery with the plan of its replay; `why` is the reason if it is refused."""

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


def preview_deliveries(
    connection: Connection,
    hub: Hub,
    where: Mapping[str, Any],
    *,
    again: bool = False,
    lock: bool = False,
) -> list[Planned]:
    """Return the plans for a replay of these deliveries. `where` has names of `FILTER_NAMES`.

    `id` selects one delivery, `ids` several, `event` all of an event. `again` includes deliveries
    that succeeded, and deliveries without a key that may happen twice. `lock` locks the deliveries
    before anything is read: a statement that waits for the locks would read the attempts as they
    were before the wait.
    """
    lost = lost_bodies(hub.configuration)
    statement = select(
        Delivery.id,
        Delivery.event_id,
        Delivery.route,
        Delivery.destination,
        Delivery.action,
        Delivery.state,
        IN_DOUBT.label("doubt"),
        lost.to_render.label("lost_to_render"),
        lost.to_call.label("lost_to_call"),
    ).join(StoredEvent, StoredEvent.id == Delivery.event_id)
    for name, wanted in where.items():
        if name == "ids":
            statement = statement.where(Delivery.id.in_(wanted))
        else:
            statement = statement.where(_FILTERS.get(name, Delivery.id) == wanted)
    statement = statement.order_by(Delivery.id)
    if lock:
        connection.execute(statement.with_only_columns(Delivery.id).with_for_update(of=Delivery))
    rows = connection.execute(statement)
    return [_plan(row, hub, again=again) for row in rows]


def replay_deliveries(
    connection: Connection,
    hub: Hub,
    planned: Sequence[Planned],
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> int:
    """Make the planned deliveries due; return how many.

    Each is planned once more, locked: deliveries that moved on since the preview stay as they are.

    Raises:
        Refused: a delivery may happen a second time, and no reason is given.
    """
    again = _require_reason(planned, reason)
    ids = [one.delivery_id for one in planned if one.plan is not Plan.REFUSED]
    plans = {one.delivery_id: one.plan for one in planned}
    current = preview_deliveries(connection, hub, {"ids": ids}, again=again, lock=True)
    agreed = [one for one in current if one.plan is plans[one.delivery_id]]
    make_due(connection, hub, agreed, actor=actor, now=now, reason=reason)
    return len(agreed)


def make_due(
    connection: Connection,
    hub: Hub,
    planned: Sequence[Planned],
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Make deliveries due that this transaction has locked and planned (`preview_deliveries`).

    Raises:
        Refused: a delivery may happen a second time, and no reason is given.
    """
    _require_reason(planned, reason)
    for alike in _alike(planned):
        ids = [one.delivery_id for one in alike]
        values = _values(alike[0], hub)
        connection.execute(update(Delivery).where(Delivery.id.in_(ids)).values(**values))
    done = [
        (f"replay.{one.plan}", f"delivery {one.delivery_id}", {"from": one.state})
        for one in planned
    ]
    record_actions(connection, done, actor=actor, now=now, reason=reason)


def _require_reason(planned: Sequence[Planned], reason: str | None) -> bool:
    """Return whether a delivery may happen a second time.

    Raises:
        Refused: so it is, and no reason is given.
    """
    again = any(one.plan is Plan.AGAIN for one in planned)
    if again and not (reason or "").strip():
        raise Refused("what may happen a second time needs a reason: --again --reason '...'")
    return again


def _alike(planned: Sequence[Planned]) -> Iterable[Sequence[Planned]]:
    """Return the planned deliveries in groups that get the same column values (`_values`)."""
    groups: dict[tuple[Plan, str], list[Planned]] = {}
    for one in planned:
        groups.setdefault((one.plan, one.route), []).append(one)
    return groups.values()


def _plan(row: Any, hub: Hub, *, again: bool) -> Planned:
    keyless = row.doubt and hub.effect(row.destination, row.action) is Effect.AT_MOST_ONCE
    plan, why = _decide(row.state, doubt=row.doubt, keyless=keyless, again=again)
    needs_body = row.lost_to_call if plan is Plan.REPEAT else row.lost_to_render
    if plan in (Plan.ANEW, Plan.AGAIN, Plan.REPEAT) and needs_body:
        plan, why = Plan.REFUSED, BODY_GONE
    return Planned(
        row.id, row.event_id, row.route, row.destination, row.action, row.state, plan, why
    )


def _decide(state: str, *, doubt: bool, keyless: bool, again: bool) -> tuple[Plan, str]:
    if state == DeliveryState.UNKNOWN:
        return Plan.REFUSED, "nobody knows whether it happened: `hub settle` it first"
    if state in (DeliveryState.RUNNING, DeliveryState.PENDING):
        return Plan.REFUSED, "it is already on its way"
    if state in (DeliveryState.RETRYING, DeliveryState.WAITING):
        return Plan.NOW, ""
    if state == DeliveryState.SUCCEEDED or keyless:
        if again:
            return Plan.AGAIN, ""
        happened = "it succeeded" if state == DeliveryState.SUCCEEDED else "it may have happened"
        return Plan.REFUSED, f"{happened}; --again --reason '...' makes it happen a second time"
    return (Plan.REPEAT if doubt else Plan.ANEW), ""


def _values(planned: Planned, hub: Hub) -> dict[str, Any]:
    if planned.plan is Plan.NOW:
        return {"next_attempt_at": database_now()}
    values: dict[str, Any] = {
        "state": DeliveryState.PENDING,
        "next_attempt_at": database_now(),
        "finished_at": None,
        "tries": 0,
        "since": database_now(),
        "error": None,
    }
    if planned.plan is Plan.REPEAT:
        return values
    route = hub.router.by_name(planned.route)
    # The delivery is rendered anew, so it also goes to the current destination of its route.
    if route:
        values |= {"destination": route.destination, "action": route.action}
    # From now on the delivery stands for another message, whose status is not known yet.
    return values | {"key_n": Delivery.key_n + 1, "provider_ref": None, "status": None}
