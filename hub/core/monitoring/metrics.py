"""How the hub is, in figures: read off the small partial indexes, never off all deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from hub.core.models import DUE_STATES, Delivery, DeliveryState, Lane, SourceState, database_now

NEEDS_YOU = (DeliveryState.FAILED, DeliveryState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many deliveries of a destination are in a state that is not over.

    `state` is `due`, `scheduled` (later), `running`, `failed` or `unknown`. `oldest_s` is how long
    the oldest one has been due, for `due` alone.
    """

    destination: str
    state: str
    count: int
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """How many requests of a source had which verdict, ever."""

    source: str
    accepted: int
    duplicates: int
    unreadable: int
    rejected: int


@dataclass(frozen=True, slots=True)
class LaneState:
    """What holds a destination back: a person's word, or the hub's."""

    destination: str
    is_paused: bool
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Metrics:
    backlogs: Sequence[Backlog]
    sources: Sequence[SourceTotals]
    lanes: Sequence[LaneState]


def read_metrics(connection: Connection) -> Metrics:
    """Return the figures of this moment, by the database's clock."""
    sources = connection.execute(
        select(
            SourceState.source,
            SourceState.accepted,
            SourceState.duplicates,
            SourceState.unreadable,
            SourceState.rejected,
        ).order_by(SourceState.source)
    )
    lanes = connection.execute(
        select(
            Lane.destination,
            Lane.paused,
            func.coalesce(Lane.blocked_until > database_now(), False).label("blocked"),
        ).order_by(Lane.destination)
    )
    return Metrics(
        backlogs=[_backlog(row) for row in connection.execute(backlog_statement())],
        sources=[SourceTotals(*row) for row in sources],
        lanes=[LaneState(row.destination, row.paused, bool(row.blocked)) for row in lanes],
    )


def backlog_statement() -> Any:
    """Return the one statement over deliveries; each part of it reads a partial index alone."""
    return union_all(_waiting(), _counted((DeliveryState.RUNNING,)), _counted(NEEDS_YOU))


def unfinished_statement() -> Any:
    """Return the part of it that indexes answer alone: what is due, scheduled and running."""
    return union_all(_waiting(), _counted((DeliveryState.RUNNING,)))


def _waiting() -> Any:
    is_due = Delivery.next_attempt_at <= database_now()
    due: Any = literal_column("'due'")
    scheduled: Any = literal_column("'scheduled'")
    # Not called `state`: GROUP BY would take the column of that name.
    standing = case((is_due, due), else_=scheduled).label("standing")
    waiting: Select[Any] = (
        select(
            Delivery.destination,
            standing,
            func.count().label("total"),
            func.min(Delivery.next_attempt_at).label("oldest_at"),
            database_now().label("now"),
        )
        .where(_among(DUE_STATES))
        .group_by(Delivery.destination, standing)
    )
    return waiting


def _counted(states: Sequence[DeliveryState]) -> Any:
    return (
        select(
            Delivery.destination,
            Delivery.state,
            func.count(),
            null().label("oldest_at"),
            null().label("now"),
        )
        .where(_among(states))
        .group_by(Delivery.destination, Delivery.state)
    )


def _among(states: Sequence[DeliveryState]) -> ColumnElement[bool]:
    # Written into the statement, as the indexes' conditions are: no planner proves that a
    # parameter lies within a partial index.
    names = [state.value for state in states]
    if len(names) == 1:
        return Delivery.state == bindparam(None, names[0], literal_execute=True)
    return Delivery.state.in_(bindparam(None, names, expanding=True, literal_execute=True))


def _backlog(row: Row[Any]) -> Backlog:
    oldest_s = _age_s(row.oldest_at, row.now) if row.standing == "due" else 0.0
    return Backlog(row.destination, row.standing, row.total, oldest_s)


def _age_s(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
