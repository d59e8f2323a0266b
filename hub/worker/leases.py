"""Lease maintenance: renews leases, acquires lanes with due work, releases blocked lanes.

The in-memory set of held lanes changes only after the transaction has committed: a rollback leaves
no lane in it that another process may hold.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from random import random
from typing import Any

from hub.core.delivery import lanes
from hub.core.delivery.poison import alert_poisoned
from hub.core.delivery.record import Finished, abandon, orphans, record
from hub.core.delivery.transitions import DEADLY
from hub.core.events.enrichment import record_and_complete
from hub.worker.context import THREADS, WorkerContext
from hub.worker.lane import HeldLane

LONGEST_LINGER_S = 60.0

log = logging.getLogger(__name__)


def update_leases(
    worker: WorkerContext, held: dict[str, HeldLane], *, renew: bool, take: bool
) -> None:
    """Update `held` and the leases in the database.

    `renew`: renew the leases, and mark lanes that were lost. `take`: acquire free lanes with due
    work. Lanes whose circuit has opened are released once their calls have ended.
    """
    for destination in [name for name, lane in held.items() if lane.lost and lane.is_empty]:
        del held[destination]
    learned = [lane for lane in held.values() if lane.recovered or _is_done_with(lane)]
    if not (renew or take or learned):
        return
    with worker.hub.store.write() as connection:
        kept = lanes.renew(connection, [lane.lease for lane in held.values()]) if renew else None
        for lane in learned:
            _record_finished(connection, lane)
        taken = _take(connection, worker, held) if take else []
        mine = [*held.values(), *taken]
        look = bool(renew or taken)
        suspects = lanes.with_suspects(connection, [one.lease for one in mine]) if look else ()
    if kept is not None:
        for destination in set(held) - kept:
            # Its calls continue; their outcomes may still count.
            if not held[destination].lost:
                log.warning("lost the lane of %s to another worker", destination)
                held[destination].lost = True
    for lane in learned:
        lane.recovered = False
        if _is_done_with(lane):
            _log_wait(lane)
            held.pop(lane.destination.slug, None)
    if take:
        for lane in held.values():
            lane.maybe_due = True
    for lane in mine if look else ():
        lane.suspects = lane.destination.slug in suspects
    held.update({lane.destination.slug: lane for lane in taken})


def release_all(worker: WorkerContext, held: dict[str, HeldLane]) -> None:
    """Record all ended calls, and release all lanes."""
    if not held:
        return
    now_s, now = time.monotonic(), datetime.now(UTC)
    with worker.hub.store.write() as connection:
        for lane in held.values():
            record_and_complete(connection, worker.hub, lane.finished, now=now)
            linger_s = max(
                min(lane.limiter.empty_in_s(now_s), LONGEST_LINGER_S), lane.limiter.wait_s(now_s)
            )
            lanes.release(connection, lane.lease, failures=lane.failures, linger_s=linger_s)
    has_fetched = any(lane.has_fetched for lane in held.values())
    for lane in held.values():
        lane.finished = []
    held.clear()
    if has_fetched:
        worker.hub.waker.wake()


def _is_done_with(lane: HeldLane) -> bool:
    """Return whether a lane is to be released: its circuit is open, and it has no calls left."""
    return lane.block is not None and lane.is_empty


def _record_finished(connection: Any, lane: HeldLane) -> None:
    if lane.recovered:
        lanes.recover(connection, lane.lease)
    if (block := lane.block) and _is_done_with(lane):
        lanes.block(
            connection,
            lane.lease,
            for_s=block.for_s,
            reason=block.reason,
            setbacks=block.setbacks,
        )
        lanes.release(connection, lane.lease)


def _log_wait(lane: HeldLane) -> None:
    if lane.block:
        name, block = lane.destination.slug, lane.block
        log.error("%s %s; no calls for %.0f s", name, block.reason, block.for_s)


def _take(connection: Any, worker: WorkerContext, held: dict[str, HeldLane]) -> list[HeldLane]:
    wanted = [name for name in worker.clients if name not in held]
    if not wanted:
        return []
    used = sum(lane.slots for lane in held.values())
    taken = []
    for lease in lanes.acquire(connection, worker.holder, wanted, most=len(wanted)):
        client = worker.clients[lease.destination]
        slots = min(client.destination.concurrency, max(1, THREADS - used))
        used += slots
        lane = HeldLane(lease, client, slots, worker.limiter(client.destination))
        _settle_orphans(connection, worker, lane)
        taken.append(lane)
    return taken


def _settle_orphans(connection: Any, worker: WorkerContext, lane: HeldLane) -> None:
    ended = list(_orphans(connection, worker, lane))
    record(connection, ended)
    alert_poisoned(connection, [one.delivery_id for one in ended if one.transition.error == DEADLY])


def _orphans(connection: Any, worker: WorkerContext, lane: HeldLane) -> Iterable[Finished]:
    """Yield the results of calls left open by a holder that died."""
    for orphan in orphans(connection, lane.lease):
        route = worker.hub.router.by_name(orphan["route"])
        policy = lane.policy(orphan["action"], at_least_once=bool(route and route.at_least_once))
        yield abandon(orphan, policy, chance=random())  # noqa: S311
