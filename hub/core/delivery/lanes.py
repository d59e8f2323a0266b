"""Lanes: one process at a time serves a destination, by a lease with a fencing token.

All times are the database's. A lane is free when its lease has expired. Each new holder gets a
higher fencing token, so that later writes of the previous holder are recognised as stale.

A destination with `shards: N` has N lanes, each with a holder and tokens of its own. The row of
shard 0 has the destination's pause and block. Rows of one destination are locked in the order of
their shards, so that no two transactions wait for each other.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, case, or_, select, update
from sqlalchemy.orm import aliased

from hub.core.delivery.lane_rows import (
    HAS_DUE,
    IS_ABANDONED,
    LEASE_S,
    RESTS,
    Lease,
    in_order,
    is_divided_by_fewer,
    is_divided_otherwise,
    is_free_for,
    is_held,
    is_open,
    is_stale,
    lane_name,
    resting,
)
from hub.core.delivery.poison import IS_POISON_SUSPECT
from hub.core.models import Lane, database_later, database_now, insert_if_new
from hub.core.pipeline import Answer, Pipeline, pipeline_of


class Hold(StrEnum):
    """Hold of a lane by another process."""

    NONE = "none"
    WORKS = "works"
    # It has released the lane, and only it may lease it again until its rate allows a call.
    RESTS = "rests"


def ensure(connection: Connection, destinations: Iterable[str]) -> None:
    """Insert the lane row, of shard 0, of each destination that has none."""
    rows = [{"destination": name} for name in sorted(destinations)]
    if rows:
        connection.execute(insert_if_new(connection, Lane), rows)


def acquire(
    connection: Connection,
    holder: str,
    destinations: Sequence[str],
    *,
    most: int,
    shards: int = 1,
    among: Collection[int] | None = None,
) -> list[Lease]:
    """Lease up to `most` free lanes that have due deliveries or calls of a holder that died.

    `holder` identifies one process for its lifetime. `shards` is the number of shards of each of
    these destinations. `among`: lease these shards alone.

    While another process divides a destination by another number of shards, none is leased: the
    shares would add up to more than the destination's limits. Its lanes whose leases have expired
    are taken from it, only `to_settle`; so are lanes beyond `shards` if calls were left open there.
    After a setback, only shard 0 is leased: one call probes the destination.
    """
    first = aliased(Lane)
    due = is_open(first) & HAS_DUE & or_(Lane.shard == 0, first.setbacks == 0)
    is_mine = (Lane.shard < shards) & ~is_divided_otherwise(shards)
    to_settle = or_((Lane.shard >= shards) & IS_ABANDONED, is_stale(shards))
    free = (
        select(
            Lane.destination,
            Lane.shard,
            first.setbacks,
            (is_mine & ~is_stale(shards)).label("is_mine"),
        )
        .join(first, (first.destination == Lane.destination) & (first.shard == 0))
        .where(
            Lane.destination.in_(destinations),
            is_free_for(holder),
            or_(is_mine & or_(due, IS_ABANDONED), to_settle),
        )
        .order_by(Lane.destination, Lane.shard)
        .limit(most)
        .with_for_update(of=Lane, skip_locked=True)
    )
    if among is not None:
        free = free.where(Lane.shard.in_(among))
    # A CTE runs once; a sub-query may run again for each row, and so exceed its LIMIT.
    found = free.cte("free")
    taken = connection.execute(
        update(Lane)
        .where(Lane.destination == found.c.destination, Lane.shard == found.c.shard)
        .values(
            token=Lane.token + 1,
            holder=holder,
            lease_until=database_later(LEASE_S),
            shards=case((found.c.is_mine, shards), else_=0),  # 0: leased only to settle
            # In the row of shard 0 it is the destination's, and may have been written meanwhile.
            setbacks=case((Lane.shard == 0, Lane.setbacks), else_=found.c.setbacks),
            wanted_by=None,
        )
        .returning(Lane.destination, Lane.token, Lane.setbacks, Lane.failures, Lane.shards)
    )
    return [Lease(row[0], row[1], holder, row[2], row[3], row[4] == 0) for row in taken]


def hold_elsewhere(
    connection: Connection, holder: str, destination: str, *, shards: int = 1
) -> Hold:
    """Return how other processes than `holder` hold the lanes now: all of them, or as good as all.

    As good as all, if one divides the destination by another number of shards.
    """
    held = select(Lane.holder, Lane.shards).where(
        Lane.destination == destination,
        Lane.lease_until > database_now(),
        Lane.holder.not_in([holder, resting(holder)]),
    )
    others: Sequence[Any] = connection.execute(held).all()
    if len(others) < shards and all(other.shards == shards for other in others):
        return Hold.NONE
    return Hold.RESTS if any(other.holder.endswith(RESTS) for other in others) else Hold.WORKS


def with_due_work(connection: Connection) -> set[str]:
    """Return the destinations that may be called and have due deliveries, or calls left open."""
    free = or_(Lane.lease_until.is_(None), Lane.lease_until <= database_now())
    due = (Lane.shard == 0) & is_open() & HAS_DUE
    found = select(Lane.destination).where(or_(due, free & IS_ABANDONED))
    return set(connection.execute(found).scalars())


def renew(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Renew the leases of these lanes; return the names of the lanes that are still held.

    Where two processes have leased lanes of one destination in the same moment, divided by two
    numbers of shards, the leases with the higher number are not renewed.
    """
    renewed = connection.execute(
        update(Lane)
        .where(in_order(is_held(leases) & ~is_divided_by_fewer()))
        .values(lease_until=database_later(LEASE_S))
        .returning(Lane.destination, Lane.shard)
    )
    return {lane_name(*row) for row in renewed}


def release(
    connection: Connection, lease: Lease, *, failures: int = 0, linger_s: float = 0
) -> None:
    """Release a lane, so that the next holder need not wait for its lease to expire.

    For `linger_s` seconds only the same holder may lease it again: until then the rate limit does
    not allow another process to start with a fresh rate limiter.
    """
    connection.execute(
        update(Lane)
        .where(is_held([lease]))
        .values(
            holder=resting(lease.holder) if linger_s else None,
            lease_until=database_later(linger_s),
            failures=failures,
            wanted_by=None,
        )
    )


def with_suspects(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Return the destinations that may be called and have due suspected poison deliveries."""
    found = select(Lane.destination).where(
        Lane.destination.in_([lease.destination for lease in leases]),
        Lane.shard == 0,
        is_open(),
        HAS_DUE.where(IS_POISON_SUSPECT),
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
    if lease.shard == 0:
        return pipeline.add(_LOCK_IF_OPEN, values)
    pipeline.add(_LOCK, values)
    return pipeline.add(_HELD_AND_OPEN, values)


_HELD = select(Lane.destination).where(
    Lane.destination == bindparam("b_destination"),
    Lane.token == bindparam("b_token"),
    Lane.holder == bindparam("b_holder"),
)
_LOCK = _HELD.with_for_update(read=True)
_LOCK_IF_OPEN = _LOCK.where(is_open())
_first = aliased(Lane)
# A statement of its own, after the lock: one that has waited for a lock sees what it waited for in
# the locked row, and not in other rows.
_HELD_AND_OPEN = _HELD.join(
    _first, (_first.destination == Lane.destination) & (_first.shard == 0)
).where(is_open(_first))
