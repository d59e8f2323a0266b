"""Sweeping up: what no lane's holder will come by to do.

Ended leases need no sweep: whoever takes a lane settles what its last holder left open.
"""

from sqlalchemy import Connection, update

from hub.core.configuration import Configuration
from hub.core.models import DUE_STATES, Delivery, DeliveryState, database_later, database_now

GRACE_S = 600.0
"""How long a delivery waits for a destination that is gone from hub.yaml: a new version of the
file reaches the processes one after the other."""


def sweep(connection: Connection, configuration: Configuration) -> int:
    """Fail due deliveries whose destination is not in the file any more; return how many."""
    changed = connection.execute(
        update(Delivery)
        .where(
            Delivery.state.in_(DUE_STATES),
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
