"""Lanes: who may work for a destination now. One holder at a time, by lease and fencing token.

All times are the database's. A lane is free when its lease is over; whoever takes it gets a higher
token, and everything that the holder before still writes finds that its token is an old one.

Holding a destination back, and letting it go on: what a person does, so it is audited.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, exists, or_, select, tuple_, update

from hub.core.audit import record_action
from hub.core.delivery.poison import IS_POISON_SUSPECT
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.models import (
    IS_DUE,
    IS_RUNNING,
    AuditEntry,
    Delivery,
    Lane,
    database_later,
    database_now,
    insert_if_new,
)

LEASE_S = 15.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A lane in somebody's hands. `setbacks` above 0: probe with one call before the rest."""

    destination: str
    token: int
    holder: str
    setbacks: int = 0
    failures: int = 0


def ensure(connection: Connection, destinations: Iterable[str]) -> None:
    """Give every destination its row."""
    rows = [{"destination": name} for name in sorted(destinations)]
    if rows:
        connection.execute(insert_if_new(connection, Lane), rows)


def acquire(
    connection: Connection, holder: str, destinations: Sequence[str], *, most: int
) -> list[Lease]:
    """Take free lanes of these destinations that have due work, or calls of a holder that died.

    `holder` names one process for its life.
    """
    abandoned = exists().where(Delivery.destination == Lane.destination, IS_RUNNING)
    free = (
        select(Lane.destination)
        .where(
            Lane.destination.in_(destinations),
            or_(
                Lane.lease_until.is_(None),
                Lane.lease_until <= database_now(),
                Lane.holder == _resting(holder),
            ),
            or_(_open() & _HAS_DUE, abandoned),
        )
        .order_by(Lane.destination)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("free")  # looked for once: a sub-query may be run anew for each row, past its LIMIT
    )
    taken = connection.execute(
        update(Lane)
        .where(Lane.destination.in_(select(free.c.destination)))
        .values(token=Lane.token + 1, holder=holder, lease_until=database_later(LEASE_S))
        .returning(Lane.destination, Lane.token, Lane.setbacks, Lane.failures)
    )
    return [Lease(row[0], row[1], holder, row[2], row[3]) for row in taken]


def renew(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Make the leases of these lanes last again; return the destinations that are still held."""
    renewed = connection.execute(
        update(Lane)
        .where(_is_held(leases))
        .values(lease_until=database_later(LEASE_S))
        .returning(Lane.destination)
    )
    return set(renewed.scalars())


def release(
    connection: Connection, lease: Lease, *, failures: int = 0, linger_s: float = 0
) -> None:
    """Let go of a lane, so that the next holder need not wait for its lease.

    `linger_s` keeps it from others, not from its holder, until its rate lets them start anew.
    """
    lease_until = database_later(linger_s) if linger_s else None
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(
            holder=_resting(lease.holder) if linger_s else None,
            lease_until=lease_until,
            failures=failures,
        )
    )


def with_suspects(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Return the destinations that may be called, and have due work that is to be tried alone."""
    found = select(Lane.destination).where(
        Lane.destination.in_([lease.destination for lease in leases]),
        _open(),
        _HAS_DUE.where(IS_POISON_SUSPECT),
    )
    return set(connection.execute(found).scalars())


def workable(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Return the destinations still held and neither paused nor blocked, locked until commit."""
    return set(connection.execute(_WORKABLE, {"b_leases": _keys(leases)}).scalars())


def block(
    connection: Connection, lease: Lease, *, for_s: float, reason: str, setbacks: int
) -> None:
    """Let nothing out to a destination for a while; `reason` is for a person."""
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(blocked_until=database_later(for_s), blocked_reason=reason[:500], setbacks=setbacks)
    )


def recover(connection: Connection, lease: Lease) -> None:
    """Note that a destination answers again."""
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(blocked_until=None, blocked_reason=None, setbacks=0)
    )


def mark_paused(connection: Connection, destination: str, *, paused: bool) -> None:
    """Pause a destination, or let it go on at once (a block is lifted too).

    Raises:
        NotFound: no such destination has a lane.
    """
    values: dict[str, Any] = {"paused": paused}
    if not paused:
        values |= {"blocked_until": None, "blocked_reason": None}
    changed = connection.execute(
        update(Lane).where(Lane.destination == destination).values(**values)
    )
    if not changed.rowcount:
        raise NotFound(f"there is no destination {destination}")


def _resting(holder: str) -> str:
    """Return the holder's mark on a lane that it has let go of, and others may not take yet."""
    return f"{holder} rests"


def _open() -> Any:
    return ~Lane.paused & or_(Lane.blocked_until.is_(None), Lane.blocked_until <= database_now())


def _is_held(leases: Sequence[Lease]) -> Any:
    return _LANE_KEY.in_(_keys(leases))


def _keys(leases: Sequence[Lease]) -> list[tuple[str, int, str]]:
    return [(lease.destination, lease.token, lease.holder) for lease in leases]


_HAS_DUE = exists().where(
    Delivery.destination == Lane.destination,
    IS_DUE,
    Delivery.next_attempt_at <= database_now(),
)
_LANE_KEY = tuple_(Lane.destination, Lane.token, Lane.holder)
_WORKABLE = (
    select(Lane.destination)
    .where(_LANE_KEY.in_(bindparam("b_leases", expanding=True)), _open())
    .with_for_update(read=True)
)


PAUSE, RESUME = "pause", "resume"


def set_paused(
    connection: Connection, hub: Hub, destination: str, *, paused: bool, actor: str, now: datetime
) -> None:
    """Pause a destination, or let it go on at once: a block is lifted too.

    Raises:
        NotFound: there is no such destination in hub.yaml.
    """
    if destination not in hub.configuration.destinations:
        known = ", ".join(hub.configuration.destinations) or "none"
        raise NotFound(f"there is no destination {destination}; hub.yaml has {known}")
    ensure(connection, [destination])
    mark_paused(connection, destination, paused=paused)
    record_action(
        connection, actor=actor, action=PAUSE if paused else RESUME, subject=destination, now=now
    )


def paused_by(connection: Connection, destination: str) -> tuple[str, datetime] | None:
    """Return who paused a destination last, and when; None if nobody is on record."""
    row = connection.execute(
        select(AuditEntry.actor, AuditEntry.at)
        .where(AuditEntry.subject == destination, AuditEntry.action == PAUSE)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    return (row.actor, row.at) if row else None
