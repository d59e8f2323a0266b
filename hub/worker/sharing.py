"""Sharing of sharded destinations among workers: leases free lanes, asks for some, gives some.

The rules are those of `hub.core.delivery.shards`; here they meet the lanes that this process holds.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from hub.core.configuration import Destination
from hub.core.delivery.lane_rows import Lease, lane_name
from hub.core.delivery.lanes import acquire
from hub.core.delivery.shards import (
    ShardState,
    ask_for,
    free_shards,
    shard_states,
    shards_to_ask_for,
    shards_to_give,
)
from hub.worker.context import THREADS, WorkerContext
from hub.worker.lane import HeldLane


def lease_shards(
    connection: Connection, worker: WorkerContext, held: Mapping[str, HeldLane]
) -> list[Lease]:
    """Lease the free lanes of sharded destinations that have due work.

    Held lanes that another worker asks for, or whose destination another worker has found not
    answering, are marked as leaving.
    """
    leases: list[Lease] = []
    for slug, states in shard_states(connection, worker.sharded).items():
        leases += _lease(connection, worker, held, worker.sharded[slug], states)
    return leases


def _lease(
    connection: Connection,
    worker: WorkerContext,
    held: Mapping[str, HeldLane],
    destination: Destination,
    states: Sequence[ShardState],
) -> list[Lease]:
    current = [one for one in states if one.shard < destination.shards]
    _mark_leaving(current, worker.holder, held)
    now_s = time.monotonic()
    free = [
        shard
        for shard in free_shards(states, worker.holder)
        if (name := lane_name(destination.slug, shard)) not in held
        and now_s >= worker.given_until_s.get(name, 0.0)
    ]
    if not free:
        return []
    return acquire(
        connection,
        worker.holder,
        [destination.slug],
        most=len(free),
        shards=destination.shards,
        among=free,
    )


def ask_for_shares(worker: WorkerContext, held: Mapping[str, HeldLane]) -> None:
    """Ask other workers for lanes of sharded destinations, if this one has threads for them.

    Raises:
        DBAPIError: the database is unavailable, or a lane was locked for too long.
    """
    if not worker.sharded or sum(lane.slots for lane in held.values()) >= THREADS:
        return
    with worker.hub.store.read() as connection:
        states = shard_states(connection, worker.sharded)
    wanted = [
        one
        for slug, every in states.items()
        for one in shards_to_ask_for(every[: worker.sharded[slug].shards], worker.holder)
    ]
    if wanted:
        with worker.hub.store.write() as connection:
            ask_for(connection, wanted, worker.holder)


def _mark_leaving(states: Sequence[ShardState], holder: str, held: Mapping[str, HeldLane]) -> None:
    given, setbacks = shards_to_give(states, holder), states[0].setbacks
    for one in states:
        lane = held.get(one.name)
        if lane is None or lane.block is not None or one.holder != holder:
            continue
        lane.given |= one in given
        lane.leaving |= lane.given or setbacks != lane.setbacks
