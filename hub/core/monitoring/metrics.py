"""Metrics of the hub, read from small partial indexes, never by a scan of all deliveries."""

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
    """Backlog: the number of deliveries of a destination in one unfinished state.

    `state` is `due`, `scheduled` (later), `running`, `failed` or `unknown`. `oldest_s` is the time
    in seconds for which the oldest one has been due, for `due` only.
    """

    destination: str
    state: str
    count: int
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """Totals of a source's inbound requests since the beginning, by verdict."""

    source: str
    accepted: int
    duplicates: int
    unreadable: int
    rejected: int


@dataclass(frozen=True, slots=True)
class LaneState:
    """Lane state of a destination: paused by an operator, or blocked by the hub."""

    destination: str
    is_paused: bool
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Metrics:
    backlogs: Sequence[Backlog]
    sources: Sequence[SourceTotals]
    lanes: Sequence[LaneState]


def read_metrics(connection: Connection) -> Metrics:
    """Return the current metrics; times are those of the database's clock."""
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
        )
        .where(Lane.shard == 0)
        .order_by(Lane.destination)
    )
    return Metrics(
        backlogs=[_backlog(row) for row in connection.execute(backlog_statement())],
        sources=[SourceTotals(*row) for row in sources],
        lanes=[LaneState(row.destination, row.paused, bool(row.blocked)) for row in lanes],
    )


def backlog_statement() -> Any:
    """Return the statement that counts deliveries; each part of its UNION reads a partial index."""
    return union_all(_waiting(), _counted((DeliveryState.RUNNING,)), _counted(NEEDS_YOU))


def unfinished_statement() -> Any:
    """Return the part answered from indexes only: due, scheduled and running deliveries."""
    return union_all(_waiting(), _counted((DeliveryState.RUNNING,)))


def _waiting() -> Any:
    is_due = Delivery.next_attempt_at <= database_now()
    due: Any = literal_column("'due'")
    scheduled: Any = literal_column("'scheduled'")
    # Not labelled `state`: GROUP BY would use the column of that name.
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
    # Literals, as in the conditions of the partial indexes: no planner can prove that a bound
    # parameter satisfies such a condition.
    names = [state.value for state in states]
    if len(names) == 1:
        return Delivery.state == bindparam(None, names[0], literal_execute=True)
    return Delivery.state.in_(bindparam(None, names, expanding=True, literal_execute=True))


def _backlog(row: Row[Any]) -> Backlog:
    oldest_s = _age_s(row.oldest_at, row.now) if row.standing == "due" else 0.0
    return Backlog(row.destination, row.standing, row.total, oldest_s)


def _age_s(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
