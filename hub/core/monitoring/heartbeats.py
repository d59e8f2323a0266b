"""Heartbeats: the time at which each process loop last completed a cycle; work without a worker.

A worker may serve some destinations alone, so that others may have none.
"""

from datetime import datetime

from sqlalchemy import Connection, exists, func, or_, select, update

from hub.core.configuration import Configuration
from hub.core.models import (
    IS_DUE,
    Delivery,
    Heartbeat,
    Lane,
    database_later,
    database_now,
    insert_if_new,
)
from hub.core.monitoring import alerts
from hub.core.ports import EVENTS

CLOCK = "clock"
# How long due work may wait for a worker. One worker may need a whole drain (90 s) to come to it.
UNSERVED_S = 120.0


def beat(connection: Connection, name: str) -> None:
    """Record a heartbeat, by the clock of the database."""
    noted = connection.execute(
        update(Heartbeat).where(Heartbeat.name == name).values(at=database_now())
    )
    if not noted.rowcount:
        connection.execute(
            insert_if_new(connection, Heartbeat).values(name=name, at=database_now())
        )


def last_beat(connection: Connection, name: str) -> datetime | None:
    """Return the time of the last heartbeat; None if there was none."""
    found = connection.execute(select(Heartbeat.at).where(Heartbeat.name == name))
    return found.scalar_one_or_none()


def alert_unserved(
    connection: Connection, configuration: Configuration, *, watched_s: float, now: datetime
) -> None:
    """Begin an alert for each destination, and for `EVENTS`, that no worker serves; end the others.

    `watched_s`: for how long the caller has been running: so long workers have had to start.
    """
    found = {
        f"destination {name}": (
            f"deliveries to {name} are due, and no worker takes them: start `hub worker`, or "
            f"`hub worker {name}`"
        )
        for name in _with_late_work(connection)
        if name in configuration.destinations and configuration.destinations[name].enabled
    }
    if watched_s > UNSERVED_S and not _has_beaten(connection, EVENTS):
        found[EVENTS] = (
            "no worker folds events into contacts, looks through providers' lists: start "
            f"`hub worker`, or `hub worker {EVENTS}`"
        )
    alerts.update_open(connection, alerts.NOT_SERVED, found, now=now)


def _with_late_work(connection: Connection) -> list[str]:
    """Return the destinations that may be called, whose work is late and whose lane nobody holds.

    A holder that rests for its rate holds its lane.
    """
    late = exists().where(
        Delivery.destination == Lane.destination,
        IS_DUE,
        Delivery.next_attempt_at <= database_later(-UNSERVED_S),
    )
    found = select(Lane.destination).where(
        ~Lane.paused,
        or_(Lane.blocked_until.is_(None), Lane.blocked_until <= database_later(-UNSERVED_S)),
        or_(Lane.lease_until.is_(None), Lane.lease_until <= database_later(-UNSERVED_S)),
        late,
    )
    return sorted(connection.execute(found).scalars())


def _has_beaten(connection: Connection, name: str) -> bool:
    beaten = select(func.count()).where(
        Heartbeat.name == name, Heartbeat.at > database_later(-UNSERVED_S)
    )
    return bool(connection.execute(beaten).scalar_one())
