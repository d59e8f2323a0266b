"""Time passed in the tables alone: leases and delays expire, doubts become an hour older."""

from datetime import timedelta

from sqlalchemy import select, update

from hub.core.models import (
    DUE_STATES,
    Attempt,
    AttemptState,
    Delivery,
    Lane,
    database_later,
)
from hub.gateways.database.engine import Database

AN_HOUR = timedelta(hours=1)


def free_lanes(store: Database) -> None:
    """Expire leases, blocks and delays."""
    with store.write() as connection:
        connection.execute(
            update(Lane).values(
                lease_until=database_later(-1.0), blocked_until=None, setbacks=0, failures=0
            )
        )
        connection.execute(
            update(Delivery)
            .where(Delivery.state.in_(DUE_STATES))
            .values(next_attempt_at=database_later(-1.0))
        )


def age(store: Database) -> None:
    """Move unknown attempts an hour into the past."""
    with store.write() as connection:
        for row in connection.execute(
            select(Attempt.id, Attempt.started_at, Attempt.looked_at).where(
                Attempt.state == AttemptState.UNKNOWN
            )
        ).all():
            connection.execute(
                update(Attempt)
                .where(Attempt.id == row.id)
                .values(
                    started_at=row.started_at - AN_HOUR,
                    looked_at=row.looked_at and row.looked_at - AN_HOUR,
                )
            )
