"""Shards of a destination: how its limits are divided, and how workers share its lanes.

Whoever finds lanes free takes them all, so that a worker alone serves the whole destination. A
worker that finds due work and no lane left asks a holder that has at least two more than itself
for one. The holder ends its calls there, and releases it. No process counts the workers: one that
is dead asks for nothing, and its leases expire.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, func, literal, select, tuple_, update

from hub.core.configuration import Destination, Rate
from hub.core.delivery.lane_rows import HAS_DUE, RESTS, TOKENS, in_order, lane_name
from hub.core.models import Lane, database_now, insert_if_new

MOST_SHARDS = 64


def slots_of(destination: Destination, shard: int) -> int:
    """Return a shard's share of the calls that a destination takes at once."""
    return _share(destination.concurrency, destination.shards, shard)


def rate_of(destination: Destination, shard: int) -> Rate | None:
    """Return a shard's share of a destination's rate; None is unlimited."""
    rate = destination.rate
    if rate is None or destination.shards == 1:
        return rate
    return Rate(_share(rate.count, destination.shards, shard), rate.per_s)


def _share(total: int, shards: int, shard: int) -> int:
    return total // shards + (shard < total % shards)


def ensure_shards(connection: Connection, destinations: Iterable[Destination]) -> None:
    """Insert the lane rows of shards above 0 that are missing; those of shard 0 exist.

    Rows of shards that hub.yaml has no more stay: their tokens may not begin again.
    """
    names = ["destination", "shard", "token"]
    for destination in sorted(destinations, key=lambda one: one.slug):
        for shard in range(1, destination.shards):
            token = Lane.token + literal(shard * TOKENS, BigInteger)
            first = select(Lane.destination, literal(shard), token)
            first = first.where(Lane.destination == destination.slug, Lane.shard == 0)
            connection.execute(insert_if_new(connection, Lane).from_select(names, first))


@dataclass(frozen=True, slots=True)
class ShardState:
    """State of one lane of a sharded destination, as the database has it.

    `holder` is the process that holds it, None if it is free. `rests`: it was released, and nobody
    but its last holder may lease it yet. `wanted_by` is the process that asks for it. `setbacks`
    are the destination's, in the state of shard 0; in the others, those that its holder knew of.
    """

    destination: str
    shard: int
    holder: str | None
    rests: bool
    wanted_by: str | None
    setbacks: int

    @property
    def name(self) -> str:
        return lane_name(self.destination, self.shard)


def shard_states(
    connection: Connection, destinations: Collection[str]
) -> Mapping[str, Sequence[ShardState]]:
    """Return the states of the lanes of these destinations, each in the order of its shards."""
    found = select(
        Lane.destination,
        Lane.shard,
        Lane.holder,
        Lane.wanted_by,
        Lane.setbacks,
        func.coalesce(Lane.lease_until > database_now(), False).label("is_held"),
    )
    found = found.where(Lane.destination.in_(destinations)).order_by(Lane.destination, Lane.shard)
    states: dict[str, list[ShardState]] = {name: [] for name in destinations}
    rows: Sequence[Any] = connection.execute(found).all()
    for row in rows:
        holder = row.holder if row.is_held else None
        states[row.destination].append(
            ShardState(
                row.destination,
                row.shard,
                holder.removesuffix(RESTS) if holder else None,
                bool(holder and holder.endswith(RESTS)),
                row.wanted_by,
                row.setbacks,
            )
        )
    return states


def free_shards(states: Iterable[ShardState], holder: str) -> list[int]:
    """Return the shards that a process may lease now."""
    return [
        one.shard for one in states if one.holder is None or (one.rests and one.holder == holder)
    ]


def shards_to_ask_for(states: Sequence[ShardState], holder: str) -> list[ShardState]:
    """Return the lanes that a process asks others for; none while one is free.

    It asks whoever has most, for as many as leave that one no fewer than itself.
    """
    if any(one.holder is None for one in states):
        return []
    held = Counter(one.holder for one in states)
    richest, most = max(held.items(), key=lambda item: (item[1], item[0] or ""))
    # A lane at rest was asked for, or is to be: whoever holds it has released it.
    asked = sum(one.wanted_by == holder or (one.rests and one.holder == richest) for one in states)
    wanted = (most - held[holder]) // 2 - asked
    theirs = [
        one for one in states if one.holder == richest and one.wanted_by is None and not one.rests
    ]
    return theirs[len(theirs) - wanted :] if 0 < wanted <= len(theirs) else []


def ask_for(connection: Connection, wanted: Sequence[ShardState], holder: str) -> None:
    """Ask the holders of these lanes for them, if their destinations have due work.

    This waits for their claims: the transaction may not have locked any other lane.
    """
    keys = [(one.destination, one.shard, one.holder) for one in wanted]
    is_wanted = tuple_(Lane.destination, Lane.shard, Lane.holder).in_(keys) & HAS_DUE
    connection.execute(update(Lane).where(in_order(is_wanted)).values(wanted_by=holder))


def shards_to_give(states: Sequence[ShardState], holder: str) -> list[ShardState]:
    """Return the lanes that a process is to give to who asks for them: never its last one."""
    mine = [one for one in states if one.holder == holder and not one.rests]
    asked = [one for one in mine if one.wanted_by not in (None, holder)]
    return asked[: len(mine) - 1]
