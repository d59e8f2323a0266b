"""Pauses and blocks: what keeps all lanes of a destination from being called.

They are in the row of shard 0. Whoever writes them locks the rows of all lanes first, and waits so
for the claims that are under way: once it has committed, no further call begins. A claim locks its
own lane's row before it reads that of shard 0 (`hub.core.delivery.lanes`).

A person can pause and resume a destination; both are recorded in the audit log.
"""

from datetime import datetime

from sqlalchemy import Connection, case, literal, or_, select, update

from hub.core.audit import record_action
from hub.core.delivery.lane_rows import Lease, lock_lanes
from hub.core.delivery.lanes import ensure
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.models import AuditEntry, Lane, database_later, database_now

PAUSE, RESUME = "pause", "resume"


def block(
    connection: Connection, lease: Lease, *, for_s: float, reason: str, setbacks: int
) -> None:
    """Block the destination of a held lane for `for_s` seconds; `reason` is for a person.

    Of this block and one that is in force, the longer one stays, and the higher number of setbacks.
    Shard 0 alone, which probes, may lower that number once the block has ended.
    """
    if not _is_held(connection, lease):
        return
    until, in_force = database_later(for_s), Lane.blocked_until > database_now()
    keeps = literal(lease.shard > 0) | in_force
    is_longer = Lane.blocked_until > until
    connection.execute(
        update(Lane)
        .where(Lane.destination == lease.destination, Lane.shard == 0)
        .values(
            blocked_until=case((is_longer, Lane.blocked_until), else_=until),
            blocked_reason=case((is_longer, Lane.blocked_reason), else_=reason[:500]),
            setbacks=case((keeps & (Lane.setbacks > setbacks), Lane.setbacks), else_=setbacks),
        )
    )


def recover(connection: Connection, lease: Lease) -> None:
    """Lift the setbacks of a held lane's destination: it answers again.

    A block that is in force is a newer one, of another lane: then this does nothing.
    """
    if not _is_held(connection, lease):
        return
    has_ended = or_(Lane.blocked_until.is_(None), Lane.blocked_until <= database_now())
    connection.execute(
        update(Lane)
        .where(Lane.destination == lease.destination, Lane.shard == 0, has_ended)
        .values(blocked_until=None, blocked_reason=None, setbacks=0)
    )


def _is_held(connection: Connection, lease: Lease) -> bool:
    rows = lock_lanes(connection, [lease.destination])
    return any((row.token, row.holder) == (lease.token, lease.holder) for row in rows)


def mark_paused(connection: Connection, destination: str, *, paused: bool) -> None:
    """Pause a destination's lanes, or resume them at once, which also lifts a block.

    Raises:
        NotFound: the destination has no lane.
    """
    if not lock_lanes(connection, [destination]):
        raise NotFound(f"there is no destination {destination}")
    lifted = {} if paused else {"blocked_until": None, "blocked_reason": None}
    of_it = (Lane.destination == destination) & (Lane.shard == 0)
    connection.execute(update(Lane).where(of_it).values(paused=paused, **lifted))


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
