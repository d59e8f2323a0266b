"""What a replay of many would do, counted in the database: nothing is fetched row by row.

The expression says in SQL what `hub.core.replays.replay` decides of one delivery; a test holds the
two together, and each delivery is decided once more, locked, before it is let go.
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
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from adapters import Effect
from hub.core.configuration import Configuration
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    Lane,
    database_now,
    is_among,
)
from hub.core.replays.replay import Plan
from hub.core.replays.selection import Selection

EXAMPLES = 3
# Among how many deliveries a replay chooses, at most: a page must answer within seconds.
MOST = 250_000
# About how many the hub itself lets go when nothing holds it back.
OURS_PER_MINUTE = 60_000

_last = aliased(Attempt)
_DOUBT = exists().where(
    Attempt.delivery_id == Delivery.id,
    Attempt.state.in_([AttemptState.IN_DOUBT, AttemptState.ACCEPTED]),
    _last.delivery_id == Delivery.id,
    _last.n == Delivery.attempts,
    Attempt.key == _last.key,
)


@dataclass(frozen=True, slots=True)
class PlanGroup:
    """Deliveries of which a replay makes the same. `destination` and `action` are where they go.

    `state` is the one that they are in; `may_have` says that one of them may have happened.
    """

    destination: str
    action: str
    plan: Plan
    state: str
    may_have: bool
    count: int
    examples: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do, by group; the groups that go out first."""

    groups: Sequence[PlanGroup]

    @property
    def going(self) -> Sequence[PlanGroup]:
        return [group for group in self.groups if group.plan is not Plan.REFUSED]

    @property
    def left(self) -> Sequence[PlanGroup]:
        return [group for group in self.groups if group.plan is Plan.REFUSED]

    @property
    def total(self) -> int:
        """How many will run."""
        return sum(group.count for group in self.going)

    @property
    def selected(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def twice(self) -> int:
        """How many may happen a second time."""
        return sum(group.count for group in self.groups if group.plan is Plan.AGAIN)

    @property
    def needs_reason(self) -> bool:
        """Whether something may happen a second time."""
        return self.twice > 0


def plan_of(
    connection: Connection, hub: Hub, selection: Selection, *, again: bool
) -> ColumnElement[str]:
    """Return what a replay makes of a delivery, as an expression over `deliveries`."""
    in_doubt = _in_doubt(connection, hub, selection)
    happened: ColumnElement[str] = literal_column(f"'{Plan.AGAIN if again else Plan.REFUSED}'")
    return case(
        (
            is_among([DeliveryState.UNKNOWN, DeliveryState.RUNNING, DeliveryState.PENDING]),
            literal_column(f"'{Plan.REFUSED}'"),
        ),
        (
            is_among([DeliveryState.RETRYING, DeliveryState.WAITING]),
            literal_column(f"'{Plan.NOW}'"),
        ),
        (or_(is_among([DeliveryState.SUCCEEDED]), in_doubt), happened),
        (_DOUBT, literal_column(f"'{Plan.REPEAT}'")),
        else_=literal_column(f"'{Plan.ANEW}'"),
    )


def preview_selection(
    connection: Connection, hub: Hub, selection: Selection, *, again: bool, examples: int = EXAMPLES
) -> Preview:
    """Return what a replay of a selection would do now.

    Raises:
        Refused: too many deliveries would have to be looked at.
    """
    _check_bounds(connection, selection)
    plan = plan_of(connection, hub, selection, again=again)
    keys = (Delivery.route, Delivery.destination, Delivery.action, Delivery.state)
    chosen = selection.apply(select(*keys, plan.label("plan"))).subquery()
    rows = connection.execute(select(*chosen.c, func.count().label("many")).group_by(*chosen.c))
    groups: dict[Any, tuple[PlanGroup, list[tuple[str, str, str]]]] = {}
    for row in rows:
        group = _group(hub, row)
        key = (group.destination, group.action, group.plan, group.state)
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
    """Return what a page shows of some deliveries."""
    columns = (Delivery.id, Delivery.event_id, Delivery.route, Delivery.destination,
               Delivery.action, Delivery.state, Delivery.error, Delivery.created_at)  # fmt: skip
    rows = connection.execute(select(*columns).where(Delivery.id.in_(ids)))
    return {row.id: row for row in rows}


def held_back(connection: Connection, destinations: Collection[str]) -> Mapping[str, str]:
    """Return the destinations to which nothing goes out now, and why."""
    held = or_(Lane.paused, Lane.blocked_until > database_now())
    rows = connection.execute(
        select(Lane.destination, Lane.paused, Lane.blocked_reason)
        .where(Lane.destination.in_(destinations), held)
        .order_by(Lane.destination)
    )
    return {
        row.destination: "is paused" if row.paused else row.blocked_reason or "is held back"
        for row in rows
    }


def takes_s(configuration: Configuration, foreseen: Preview, per_minute: int) -> float:
    """Return how long a replay takes at least, at its rate and at those of its destinations."""
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
    """Return where a replay goes: what is made anew goes where its route goes today."""
    today = hub.router.by_name(route) if plan in (Plan.ANEW, Plan.AGAIN) else None
    return (today.destination, today.action) if today else (destination, action)


def _in_doubt(connection: Connection, hub: Hub, selection: Selection) -> ColumnElement[bool]:
    """Return the condition of what may have happened, and would happen twice."""
    pairs = connection.execute(
        selection.apply(select(Delivery.destination, Delivery.action)).distinct()
    ).all()
    once = [(row[0], row[1]) for row in pairs if hub.effect(row[0], row[1]) is Effect.AT_MOST_ONCE]
    if not once:
        return false()
    return and_(tuple_(Delivery.destination, Delivery.action).in_(once), _DOUBT)


def _order(group: PlanGroup) -> tuple[bool, int, str, str, str]:
    return group.plan is Plan.REFUSED, -group.count, group.destination, group.action, group.state


def _group(hub: Hub, row: Any) -> PlanGroup:
    plan = Plan(row.plan)
    destination, action = target(hub, plan, row.route, row.destination, row.action)
    rejected = row.state in (DeliveryState.FAILED, DeliveryState.SKIPPED)
    may_have = plan is Plan.REPEAT or (rejected and plan is not Plan.ANEW)
    return PlanGroup(destination, action, plan, row.state, may_have, row.many)


def _examples(
    connection: Connection,
    selection: Selection,
    group: PlanGroup,
    plan: ColumnElement[str],
    members: Sequence[tuple[str, str, str]],
    most: int,
) -> Sequence[UUID]:
    """Return some deliveries of a group, the newest first. `members` are where they come from."""
    if not most:
        return ()
    statement = selection.apply(select(Delivery.id)).where(
        is_among([DeliveryState(group.state)]),
        tuple_(Delivery.route, Delivery.destination, Delivery.action).in_(members),
        plan == group.plan,
    )
    found = connection.execute(statement.order_by(Delivery.id.desc()).limit(most))
    return tuple(found.scalars())
