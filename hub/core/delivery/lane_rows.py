"""Rows of lanes: leases, their fencing tokens, and the conditions by which rows are found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from hub.core.models import IS_DUE, IS_RUNNING, Delivery, Lane, database_now

LEASE_S = 15.0
# The tokens of shard k are those from k * TOKENS on, of which nobody comes to the end.
TOKENS = 2**48
HAS_DUE = exists().where(
    Delivery.destination == Lane.destination,
    IS_DUE,
    Delivery.next_attempt_at <= database_now(),
)


def _is_abandoned() -> Any:
    first = Lane.shard * literal(TOKENS, BigInteger)
    token = func.coalesce(Delivery.lane_token, 0)
    return exists().where(
        Delivery.destination == Lane.destination,
        IS_RUNNING,
        token >= first,
        token < first + literal(TOKENS, BigInteger),
    )


# Whether a free lane has calls that a holder that died left open.
IS_ABANDONED = _is_abandoned()
LEASE_KEY = tuple_(Lane.destination, Lane.token, Lane.holder)
ROW_KEY = tuple_(Lane.destination, Lane.shard)
RESTS = " rests"


@dataclass(frozen=True, slots=True)
class Lease:
    """Lease of a lane. With `setbacks` above 0, one call probes the destination before the rest.

    `shard` is the lane's number among those of its destination, from 0 on. `to_settle`: no call may
    be made; settle what earlier holders left open, and release the lane in the same transaction.
    """

    destination: str
    token: int
    holder: str
    setbacks: int = 0
    failures: int = 0
    to_settle: bool = False

    @property
    def shard(self) -> int:
        return self.token // TOKENS

    @property
    def first_token(self) -> int:
        """The lowest token that an earlier holder of this lane may have had."""
        return self.shard * TOKENS

    @property
    def name(self) -> str:
        """The lane's name in logs and in memory, such as `crm`, or `crm/1` for shard 1."""
        return lane_name(self.destination, self.shard)


def lane_name(destination: str, shard: int) -> str:
    """Return the name of a destination's lane: the destination's own for shard 0."""
    return f"{destination}/{shard}" if shard else destination


def resting(holder: str) -> str:
    """Return the `holder` value of a released lane that other processes may not lease yet."""
    return f"{holder}{RESTS}"


def is_open(first: Any = Lane) -> Any:
    """Return the condition that a destination is neither paused nor blocked.

    `first` is the entity of its lane of shard 0, which has that state for all of them.
    """
    return ~first.paused & or_(first.blocked_until.is_(None), first.blocked_until <= database_now())


def is_free_for(holder: str) -> Any:
    """Return the condition that a process may lease a lane: nobody else's lease is in force."""
    has_ended = or_(Lane.lease_until.is_(None), Lane.lease_until <= database_now())
    return or_(has_ended, Lane.holder == resting(holder))


def is_stale(shards: int) -> Any:
    """Return whether a lane's holder divides the destination by another number of shards."""
    return Lane.holder.is_not(None) & (Lane.shards != shards)


def is_divided_otherwise(shards: int) -> Any:
    """Return whether another shard's holder divides the destination by another number of shards.

    So it does after its lease has expired, until the lane is taken from it: it may renew its lease.
    """
    other = aliased(Lane)
    return exists().where(
        other.destination == Lane.destination,
        other.shard != Lane.shard,
        other.shards != shards,
        other.holder.is_not(None),
    )


def is_divided_by_fewer() -> Any:
    """Return whether a lease of another shard is in force that divides by fewer shards."""
    other = aliased(Lane)
    return exists().where(
        other.destination == Lane.destination,
        other.shards < Lane.shards,
        other.lease_until > database_now(),
    )


def in_order(condition: Any) -> Any:
    """Return the condition of all rows that meet another one, locked in the order of shards."""
    rows = select(Lane.destination, Lane.shard).where(condition)
    rows = rows.order_by(Lane.destination, Lane.shard).with_for_update()
    locked = rows.cte("in_order")
    return ROW_KEY.in_(select(locked.c.destination, locked.c.shard))


def lock_lanes(connection: Connection, destinations: Collection[str]) -> Sequence[Any]:
    """Lock the rows of all lanes of these destinations until commit; return them.

    Each row has a lane's destination, shard, token and holder.
    """
    rows = select(Lane.destination, Lane.shard, Lane.token, Lane.holder)
    rows = rows.where(Lane.destination.in_(destinations))
    rows = rows.order_by(Lane.destination, Lane.shard).with_for_update()
    return connection.execute(rows).all()


def is_held(leases: Sequence[Lease]) -> Any:
    """Return the condition of the rows of these leases, as far as they are still held."""
    return LEASE_KEY.in_(lease_keys(leases))


def lease_keys(leases: Sequence[Lease]) -> list[tuple[str, int, str]]:
    """Return the values of `LEASE_KEY` of these leases."""
    return [(lease.destination, lease.token, lease.holder) for lease in leases]
