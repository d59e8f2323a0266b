"""Preview of a bulk replay, counted by the database: deliveries are not fetched row by row.

The SQL expression decides as `hub.core.replays.replay` decides for one delivery. A test compares
the two, and the decision is repeated for each delivery, locked, before it is released.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from adapters import Effect
from hub.core.configuration import Configuration
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.models import (
    Delivery,
    DeliveryState,
    Lane,
    database_now,
    is_among,
)
from hub.core.replays.bodies import lost_bodies
from hub.core.replays.replay import IN_DOUBT, Plan
from hub.core.replays.selection import Selection

# Stands for a plan in SQL: refused, because the body that the replay needs is gone.
LOST = "lost"
EXAMPLES = 3
# Most deliveries that a selection may examine: a page must answer within seconds.
MOST = 250_000
# Approximate rate at which the hub itself releases deliveries when no limit slows it down.
OURS_PER_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class PlanGroup:
    """Group of deliveries with the same plan. `destination` and `action` are the replay's target.

    `state` is the present state of the deliveries; `may_have`: they may have happened already.
    `is_lost`: they are refused because their requests' bodies are gone, which they need.
    """

    destination: str
    action: str
    plan: Plan
    state: str
    may_have: bool
    count: int
    examples: Sequence[UUID] = ()
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """Preview of a replay, by group; refused groups come last."""

    groups: Sequence[PlanGroup]

    @property
    def going(self) -> Sequence[PlanGroup]:
        return [group for group in self.groups if group.plan is not Plan.REFUSED]

    @property
    def left(self) -> Sequence[PlanGroup]:
        return [group for group in self.groups if group.plan is Plan.REFUSED]

    @property
    def total(self) -> int:
        """Return the number of deliveries that will run."""
        return sum(group.count for group in self.going)

    @property
    def selected(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def twice(self) -> int:
        """Return the number of deliveries that may happen a second time."""
        return sum(group.count for group in self.groups if group.plan is Plan.AGAIN)

    @property
    def needs_reason(self) -> bool:
        """Return whether the replay needs a reason: a delivery may happen a second time."""
        return self.twice > 0


def plan_of(
    connection: Connection, hub: Hub, selection: Selection, *, again: bool
) -> ColumnElement[str]:
    """Return the plan of a delivery, or `LOST`, as an SQL expression over `deliveries`."""
    lost = lost_bodies(hub.configuration)
    in_doubt = _in_doubt(connection, hub, selection)
    has_happened = or_(is_among([DeliveryState.SUCCEEDED]), in_doubt)
    is_lost: ColumnElement[str] = literal_column(f"'{LOST}'")
    return case(
        (
            is_among([DeliveryState.UNKNOWN, DeliveryState.RUNNING, DeliveryState.PENDING]),
            literal_column(f"'{Plan.REFUSED}'"),
        ),
        (
            is_among([DeliveryState.RETRYING, DeliveryState.WAITING]),
            literal_column(f"'{Plan.NOW}'"),
        ),
        (has_happened & lost.to_render, is_lost) if again else (false(), is_lost),
        (has_happened, literal_column(f"'{Plan.AGAIN if again else Plan.REFUSED}'")),
        (IN_DOUBT & lost.to_call, is_lost),
        (IN_DOUBT, literal_column(f"'{Plan.REPEAT}'")),
        (lost.to_render, is_lost),
        else_=literal_column(f"'{Plan.ANEW}'"),
    )


def preview_selection(
    connection: Connection, hub: Hub, selection: Selection, *, again: bool, examples: int = EXAMPLES
) -> Preview:
    """Return the preview of a replay of a selection.

    Raises:
        Refused: more than `MOST` deliveries would have to be examined.
    """
    _check_bounds(connection, selection)
    plan = plan_of(connection, hub, selection, again=again)
    keys = (Delivery.route, Delivery.destination, Delivery.action, Delivery.state)
    chosen = selection.apply(select(*keys, plan.label("plan"))).subquery()
    rows = connection.execute(select(*chosen.c, func.count().label("many")).group_by(*chosen.c))
    groups: dict[Any, tuple[PlanGroup, list[tuple[str, str, str]]]] = {}
    for row in rows:
        group = _group(hub, row)
        key = (group.destination, group.action, group.plan, group.state, group.is_lost)
        known, members = groups.get(key, (replace(group, count=0), []))
        members.append((row.route, row.destination, row.action))
        groups[key] = replace(known, count=known.count + group.count), members
    found = [
        replace(group, examples=_examples(connection, selection, group, plan, members, examples))
        for group, members in groups.values()
    ]
    return Preview(sorted(found, key=_order))


def _check_bounds(connection: Connection, selection: Selection) -> None:
    looked_at = select(Delivery.id).where(*selection.indexed()).limit(MOST + 1).subquery()
    if connection.execute(select(func.count()).select_from(looked_at)).scalar_one() > MOST:
        raise Refused(
            f"more than {MOST:,} deliveries would have to be looked at: choose a state, or a time"
        )


def examples_of(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Return the rows that a page shows as examples, by delivery id."""
    columns = (Delivery.id, Delivery.event_id, Delivery.route, Delivery.destination,
               Delivery.action, Delivery.state, Delivery.error, Delivery.created_at)  # fmt: skip
    rows = connection.execute(select(*columns).where(Delivery.id.in_(ids)))
    return {row.id: row for row in rows}


def held_back(connection: Connection, destinations: Collection[str]) -> Mapping[str, str]:
    """Return the paused and blocked ones of these destinations, each with the reason."""
    held = or_(Lane.paused, Lane.blocked_until > database_now())
    rows = connection.execute(
        select(Lane.destination, Lane.paused, Lane.blocked_reason)
        .where(Lane.destination.in_(destinations), Lane.shard == 0, held)
        .order_by(Lane.destination)
    )
    return {
        row.destination: "is paused" if row.paused else row.blocked_reason or "is held back"
        for row in rows
    }


def takes_s(configuration: Configuration, foreseen: Preview, per_minute: int) -> float:
    """Return the least seconds that a replay takes, by its rate and its destinations' rates."""
    by_destination: Counter[str] = Counter()
    for group in foreseen.going:
        by_destination[group.destination] += group.count
    theirs = [
        count * known.rate.per_s / known.rate.count
        for name, count in by_destination.items()
        if (known := configuration.destinations.get(name)) and known.rate
    ]
    return max([foreseen.total * 60 / min(per_minute, OURS_PER_MINUTE), *theirs])


def target(hub: Hub, plan: Plan, route: str, destination: str, action: str) -> tuple[str, str]:
    """Return the destination and action of a replay.

    A delivery that is rendered anew goes to the current destination of its route.
    """
    today = hub.router.by_name(route) if plan in (Plan.ANEW, Plan.AGAIN) else None
    return (today.destination, today.action) if today else (destination, action)


def _in_doubt(connection: Connection, hub: Hub, selection: Selection) -> ColumnElement[bool]:
    """Return the condition for deliveries that may have happened and would happen twice."""
    pairs = connection.execute(
        selection.apply(select(Delivery.destination, Delivery.action)).distinct()
    ).all()
    once = [(row[0], row[1]) for row in pairs if hub.effect(row[0], row[1]) is Effect.AT_MOST_ONCE]
    if not once:
        return false()
    return and_(tuple_(Delivery.destination, Delivery.action).in_(once), IN_DOUBT)


def _order(group: PlanGroup) -> tuple[bool, int, str, str, str]:
    return group.plan is Plan.REFUSED, -group.count, group.destination, group.action, group.state


def _group(hub: Hub, row: Any) -> PlanGroup:
    is_lost = row.plan == LOST
    plan = Plan.REFUSED if is_lost else Plan(row.plan)
    destination, action = target(hub, plan, row.route, row.destination, row.action)
    rejected = row.state in (DeliveryState.FAILED, DeliveryState.SKIPPED)
    may_have = plan is Plan.REPEAT or (rejected and plan is not Plan.ANEW and not is_lost)
    return PlanGroup(destination, action, plan, row.state, may_have, row.many, is_lost=is_lost)


def _examples(
    connection: Connection,
    selection: Selection,
    group: PlanGroup,
    plan: ColumnElement[str],
    members: Sequence[tuple[str, str, str]],
    most: int,
) -> Sequence[UUID]:
    """Return the ids of some deliveries of a group, newest first.

    `members` are the group's (route, destination, action) tuples.
    """
    if not most:
        return ()
    statement = selection.apply(select(Delivery.id)).where(
        is_among([DeliveryState(group.state)]),
        tuple_(Delivery.route, Delivery.destination, Delivery.action).in_(members),
        plan == (LOST if group.is_lost else group.plan),
    )
    found = connection.execute(statement.order_by(Delivery.id.desc()).limit(most))
    return tuple(found.scalars())
