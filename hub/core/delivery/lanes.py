"""Lanes: one process at a time serves a destination, by a lease with a fencing token.

All times are the database's. A lane is free when its lease has expired. Each new holder gets a
higher fencing token, so that later writes of the previous holder are recognised as stale.

A person can pause and resume a destination; both are recorded in the audit log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
from hub.core.pipeline import Answer, Pipeline, pipeline_of

LEASE_S = 15.0
_HAS_DUE = exists().where(
    Delivery.destination == Lane.destination,
    IS_DUE,
    Delivery.next_attempt_at <= database_now(),
)
_LANE_KEY = tuple_(Lane.destination, Lane.token, Lane.holder)
PAUSE, RESUME = "pause", "resume"
_RESTS = " rests"


class Hold(StrEnum):
    """Hold of a lane by another process."""

    NONE = "none"
    WORKS = "works"
    # It has released the lane, and only it may lease it again until its rate allows a call.
    RESTS = "rests"


@dataclass(frozen=True, slots=True)
class Lease:
    """Lease of a lane. With `setbacks` above 0, one call probes the destination before the rest."""

    destination: str
    token: int
    holder: str
    setbacks: int = 0
    failures: int = 0


def ensure(connection: Connection, destinations: Iterable[str]) -> None:
    """Insert the lane row of each destination that has none."""
    rows = [{"destination": name} for name in sorted(destinations)]
    if rows:
        connection.execute(insert_if_new(connection, Lane), rows)


def acquire(
    connection: Connection, holder: str, destinations: Sequence[str], *, most: int
) -> list[Lease]:
    """Lease up to `most` free lanes that have due deliveries or calls of a holder that died.

    `holder` identifies one process for its lifetime.
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
        # A CTE runs once; a sub-query may run again for each row, and so exceed its LIMIT.
        .cte("free")
    )
    taken = connection.execute(
        update(Lane)
        .where(Lane.destination.in_(select(free.c.destination)))
        .values(token=Lane.token + 1, holder=holder, lease_until=database_later(LEASE_S))
        .returning(Lane.destination, Lane.token, Lane.setbacks, Lane.failures)
    )
    return [Lease(row[0], row[1], holder, row[2], row[3]) for row in taken]


def hold_elsewhere(connection: Connection, holder: str, destination: str) -> Hold:
    """Return how another process than `holder` holds the lane now."""
    held = select(Lane.holder).where(
        Lane.destination == destination,
        Lane.lease_until > database_now(),
        Lane.holder.not_in([holder, _resting(holder)]),
    )
    other = connection.execute(held).scalar_one_or_none()
    if other is None:
        return Hold.NONE
    return Hold.RESTS if other.endswith(_RESTS) else Hold.WORKS


def with_due_work(connection: Connection) -> set[str]:
    """Return the destinations that may be called and have due deliveries, or calls left open."""
    abandoned = exists().where(Delivery.destination == Lane.destination, IS_RUNNING)
    free = or_(Lane.lease_until.is_(None), Lane.lease_until <= database_now())
    found = select(Lane.destination).where(or_(_open() & _HAS_DUE, free & abandoned))
    return set(connection.execute(found).scalars())


def renew(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Renew the leases of these lanes; return the destinations that are still held."""
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
    """Release a lane, so that the next holder need not wait for its lease to expire.

    For `linger_s` seconds only the same holder may lease it again: until then the rate limit does
    not allow another process to start with a fresh rate limiter.
    """
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(
            holder=_resting(lease.holder) if linger_s else None,
            lease_until=database_later(linger_s),
            failures=failures,
        )
    )


def with_suspects(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Return the destinations that may be called and have due suspected poison deliveries."""
    found = select(Lane.destination).where(
        Lane.destination.in_([lease.destination for lease in leases]),
        _open(),
        _HAS_DUE.where(IS_POISON_SUSPECT),
    )
    return set(connection.execute(found).scalars())


def workable(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Lock, until commit, the lanes still held and neither paused nor blocked.

    Return their destinations.
    """
    pipeline = pipeline_of(connection)
    return {row[0] for lease in leases for row in ask_workable(pipeline, lease).all()}


def ask_workable(pipeline: Pipeline, lease: Lease) -> Answer:
    """Ask for a lane's row, locked until commit: there is none if it is not `workable`."""
    values = {"b_destination": lease.destination, "b_token": lease.token, "b_holder": lease.holder}
    return pipeline.add(_WORKABLE, values)


def block(
    connection: Connection, lease: Lease, *, for_s: float, reason: str, setbacks: int
) -> None:
    """Block a held lane for `for_s` seconds; `reason` is for a person."""
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(blocked_until=database_later(for_s), blocked_reason=reason[:500], setbacks=setbacks)
    )


def recover(connection: Connection, lease: Lease) -> None:
    """Lift the block of a held lane and reset its setbacks: the destination answers again."""
    connection.execute(
        update(Lane)
        .where(_is_held([lease]))
        .values(blocked_until=None, blocked_reason=None, setbacks=0)
    )


def mark_paused(connection: Connection, destination: str, *, paused: bool) -> None:
    """Pause a destination's lane, or resume it at once, which also lifts a block.

    Raises:
        NotFound: the destination has no lane.
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
    """Return the `holder` value of a released lane that other processes may not lease yet."""
    return f"{holder}{_RESTS}"


def _open() -> Any:
    return ~Lane.paused & or_(Lane.blocked_until.is_(None), Lane.blocked_until <= database_now())


def _is_held(leases: Sequence[Lease]) -> Any:
    return _LANE_KEY.in_(_keys(leases))


def _keys(leases: Sequence[Lease]) -> list[tuple[str, int, str]]:
    return [(lease.destination, lease.token, lease.holder) for lease in leases]


_WORKABLE = (
    select(Lane.destination)
    .where(
        Lane.destination == bindparam("b_destination"),
        Lane.token == bindparam("b_token"),
        Lane.holder == bindparam("b_holder"),
        _open(),
    )
    .with_for_update(read=True)
)


def set_paused(
    connection: Connection, hub: Hub, destination: str, *, paused: bool, actor: str, now: datetime
) -> None:
    """Pause or resume a destination, with an audit entry; resuming also lifts a block.

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
    """Return the actor and the time of a destination's last pause; None if there is no record."""
    row = connection.execute(
        select(AuditEntry.actor, AuditEntry.at)
        .where(AuditEntry.subject == destination, AuditEntry.action == PAUSE)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    return (row.actor, row.at) if row else None
