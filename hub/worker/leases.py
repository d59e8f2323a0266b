"""Lease maintenance: renews leases, acquires lanes with due work, releases blocked lanes.

The in-memory set of held lanes changes only after the transaction has committed: a rollback leaves
no lane in it that another process may hold.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from random import random
from typing import Any

from sqlalchemy.exc import DBAPIError

from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery import lanes, pauses
from hub.core.delivery.lane_rows import Lease
from hub.core.delivery.poison import alert_poisoned
from hub.core.delivery.record import Finished, abandon, orphans, record
from hub.core.delivery.shards import MOST_SHARDS, slots_of
from hub.core.delivery.transitions import DEADLY
from hub.core.events.enrichment import record_and_complete
from hub.worker.context import THREADS, WorkerContext
from hub.worker.lane import CircuitState, HeldLane
from hub.worker.sharing import ask_for_shares, lease_shards

LONGEST_LINGER_S = 60.0
# How long a lane is left to the worker that asked for it.
GIVEN_S = 3.0

log = logging.getLogger(__name__)


def update_leases(
    worker: WorkerContext, held: dict[str, HeldLane], *, renew: bool, take: bool
) -> None:
    """Update `held`, by the lanes' names, and the leases in the database.

    `renew`: renew the leases, and mark lanes that were lost. `take`: acquire free lanes with due
    work. Where a lane's circuit has opened, its destination is blocked at once, and the lane
    released once its calls have ended.
    """
    for name in [name for name, lane in held.items() if lane.lost and lane.is_empty]:
        del held[name]
    for lane in [lane for lane in held.values() if _has_news(lane) or _is_done_with(lane)]:
        # By itself: it locks all lanes of its destination, also those of other workers.
        with _again_later(f"what {lane.destination.slug} answered is not written yet"):
            with worker.hub.store.write() as connection:
                _write_news(connection, lane)
                if _is_done_with(lane):
                    lanes.release(connection, lane.lease, linger_s=_linger_s(lane))
            if lane.block and not lane.is_block_written:
                _log_wait(lane.destination.slug, lane.block)
            lane.recovered, lane.is_block_written = False, lane.block is not None
            if _is_done_with(lane):
                held.pop(lane.lease.name, None)
    if not (renew or take):
        return
    with worker.hub.store.write() as connection:
        kept = lanes.renew(connection, [lane.lease for lane in held.values()]) if renew else None
        taken = _take(connection, worker, held) if take else []
        mine = [*held.values(), *taken]
        look = bool(renew or taken)
        suspects = lanes.with_suspects(connection, [one.lease for one in mine]) if look else ()
    if kept is not None:
        for name in set(held) - kept:
            # Its calls continue; their outcomes may still count.
            if not held[name].lost:
                log.warning("lost the lane of %s to another worker", name)
                held[name].lost = True
    if take:
        for lane in held.values():
            lane.maybe_due = True
    if take:
        _share_threads(mine)
    for lane in mine if look else ():
        lane.suspects = lane.destination.slug in suspects
    held.update({lane.lease.name: lane for lane in taken})
    if take:
        with _again_later("no lanes were asked for"):
            ask_for_shares(worker, held)


def release_all(worker: WorkerContext, held: dict[str, HeldLane]) -> None:
    """Record all ended calls, and release all lanes."""
    if not held:
        return
    now_s, now = time.monotonic(), datetime.now(UTC)
    with worker.hub.store.write() as connection:
        for lane in sorted(held.values(), key=lambda one: (one.lease.destination, one.lease.token)):
            record_and_complete(connection, worker.hub, lane.finished, now=now)
            linger_s = _linger_s(lane)
            lanes.release(connection, lane.lease, failures=lane.failures, linger_s=linger_s)
            if lane.given:
                worker.given_until_s[lane.lease.name] = now_s + linger_s + GIVEN_S
    has_fetched = any(lane.has_fetched for lane in held.values())
    for lane in held.values():
        lane.finished = []
    held.clear()
    if has_fetched:
        worker.hub.waker.wake()


@contextmanager
def _again_later(sentence: str) -> Iterator[None]:
    """Log a lock that another process has held for too long: the next look tries again."""
    try:
        yield
    except DBAPIError as error:
        if classify(error) is not DatabaseErrorKind.RETRYABLE:
            raise
        log.warning("%s (%s): it is tried again", sentence, type(error.orig).__name__)


def _linger_s(lane: HeldLane) -> float:
    """Return the seconds for which a lane that is released now is at rest, for its rate."""
    now_s = time.monotonic()
    return max(min(lane.limiter.empty_in_s(now_s), LONGEST_LINGER_S), lane.limiter.wait_s(now_s))


def _is_done_with(lane: HeldLane) -> bool:
    """Return whether a lane is to be released: its circuit is open, and it has no calls left."""
    return lane.block is not None and lane.is_empty


def _has_news(lane: HeldLane) -> bool:
    """Return whether other processes do not know yet how a destination answers."""
    return lane.recovered or (lane.block is not None and not lane.is_block_written)


def _write_news(connection: Any, lane: HeldLane) -> None:
    if lane.recovered:
        pauses.recover(connection, lane.lease)
    if lane.block and not lane.is_block_written:
        pauses.block(
            connection,
            lane.lease,
            for_s=lane.block.for_s,
            reason=lane.block.reason,
            setbacks=lane.block.setbacks,
        )


def _log_wait(destination: str, block: CircuitState) -> None:
    log.error("%s %s; no calls for %.0f s", destination, block.reason, block.for_s)


def _take(connection: Any, worker: WorkerContext, held: dict[str, HeldLane]) -> list[HeldLane]:
    used = sum(lane.slots for lane in held.values())
    taken = []
    found = _acquire(connection, worker, held)
    if any(lease.to_settle for lease in found):
        # Once these are released, nobody divides by another number of shards any more.
        _settle(connection, worker, found)
        more = _acquire(connection, worker, held)
        _settle(connection, worker, more)
        found += more
    for lease in [lease for lease in found if not lease.to_settle]:
        lane = _lane(worker, lease, slots=max(1, THREADS - used))
        _settle_orphans(connection, worker, lane)
        used += lane.slots
        taken.append(lane)
    return taken


def _share_threads(held: Sequence[HeldLane]) -> None:
    """Give lanes that have fewer slots than their share the threads that are free by now."""
    free = THREADS - sum(lane.slots for lane in held)
    for lane in held:
        more = min(free, slots_of(lane.destination, lane.lease.shard) - lane.slots)
        if more > 0 and not (lane.leaving or lane.lost or lane.block):
            lane.slots += more
            free -= more


def _settle(connection: Any, worker: WorkerContext, leases: Iterable[Lease]) -> None:
    """Settle what was left open in lanes leased only for that, and release them."""
    for lease in [lease for lease in leases if lease.to_settle]:
        _settle_orphans(connection, worker, _lane(worker, lease, slots=0))
        lanes.release(connection, lease)


def _lane(worker: WorkerContext, lease: Lease, *, slots: int) -> HeldLane:
    client = worker.clients[lease.destination]
    slots = min(slots_of(client.destination, lease.shard), slots)
    return HeldLane(lease, client, slots, worker.limiter(client.destination, lease.shard))


def _acquire(connection: Any, worker: WorkerContext, held: dict[str, HeldLane]) -> list[Lease]:
    wanted = [
        name
        for name, client in worker.clients.items()
        if name not in held and client.destination.shards == 1
    ]
    # Also, to settle what was left open there, the lanes of shards that hub.yaml has no more.
    most = len(wanted) * MOST_SHARDS
    leases = lanes.acquire(connection, worker.holder, wanted, most=most) if wanted else []
    if worker.sharded:
        leases += lease_shards(connection, worker, held)
    return leases


def _settle_orphans(connection: Any, worker: WorkerContext, lane: HeldLane) -> None:
    ended = list(_orphans(connection, worker, lane))
    record(connection, ended)
    alert_poisoned(connection, [one.delivery_id for one in ended if one.transition.error == DEADLY])


def _orphans(connection: Any, worker: WorkerContext, lane: HeldLane) -> Iterable[Finished]:
    """Yield the results of calls left open by a holder that died."""
    for orphan in orphans(connection, lane.lease):
        route = worker.hub.router.by_name(orphan["route"])
        policy = lane.policy(orphan["action"], at_least_once=bool(route and route.at_least_once))
        yield abandon(orphan, policy, chance=random())  # noqa: S311 - jitter
