"""Sweep: finds work that no wake-up has reached, and ends deliveries that nobody will process.

Expired leases need no sweep: the next holder of a lane settles the calls that were left open.
"""

from datetime import datetime

from sqlalchemy import Connection, select, update

from hub.core.configuration import Configuration
from hub.core.delivery.lanes import with_due_work
from hub.core.delivery.reconcile import with_due_lookups
from hub.core.delivery.transitions import WORKER_DIED
from hub.core.hub import Hub
from hub.core.models import (
    IS_DUE,
    IS_RUNNING,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    Lane,
    database_later,
    database_now,
)

# Seconds that a delivery waits for a destination that is not in hub.yaml: a new version of the
# file reaches the processes one after the other.
GRACE_S = 600.0


def sweep(connection: Connection, configuration: Configuration) -> int:
    """End deliveries to destinations that are not in hub.yaml or disabled; return how many.

    A waiting delivery fails if its destination is not in hub.yaml; a running one becomes unknown
    if no worker serves its destination.
    """
    return _fail_waiting(connection, configuration) + _mark_running_unknown(
        connection, configuration
    )


def destinations_to_wake(connection: Connection, hub: Hub, *, now: datetime) -> set[str]:
    """Return the configured destinations that have due deliveries or look-ups."""
    due = with_due_work(connection) | with_due_lookups(connection, hub, now=now)
    return due & hub.configuration.destinations.keys()


def _mark_running_unknown(connection: Connection, configuration: Configuration) -> int:
    """Mark calls as unknown whose worker died and whose destination no worker serves any more.

    The deliveries are those of the attempts just closed: a lane released between the two writes
    must not make the second one match more, for an attempt that still seems to be in flight would
    never be settled.
    """
    served = [one.slug for one in configuration.destinations.values() if one.enabled]
    held = select(Lane.destination).where(
        Lane.holder.is_not(None), Lane.lease_until > database_later(-GRACE_S)
    )
    left = (
        IS_RUNNING,
        Delivery.destination.not_in(served),
        Delivery.destination.not_in(held),
    )
    closed = connection.execute(
        update(Attempt)
        .where(
            Attempt.state == AttemptState.CALLING,
            Attempt.delivery_id.in_(select(Delivery.id).where(*left)),
        )
        .values(state=AttemptState.UNKNOWN, message=WORKER_DIED.message)
        .returning(Attempt.delivery_id)
    )
    left_ids = closed.scalars().all()
    if not left_ids:
        return 0
    changed = connection.execute(
        update(Delivery)
        .where(Delivery.id.in_(left_ids), IS_RUNNING)
        .values(state=DeliveryState.UNKNOWN, error=WORKER_DIED.message)
    )
    return changed.rowcount


def _fail_waiting(connection: Connection, configuration: Configuration) -> int:
    changed = connection.execute(
        update(Delivery)
        .where(
            IS_DUE,
            Delivery.destination.not_in(list(configuration.destinations)),
            Delivery.next_attempt_at <= database_later(-GRACE_S),
        )
        .values(
            state=DeliveryState.FAILED,
            error="its destination is not in hub.yaml any more: put it back and replay",
            next_attempt_at=None,
            finished_at=database_now(),
        )
    )
    return changed.rowcount
