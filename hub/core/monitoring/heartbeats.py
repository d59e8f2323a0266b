"""Heartbeats: the time at which each process loop last completed a cycle; work without a worker.

A worker may serve some destinations alone, so that others may have none.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, exists, or_, select, update

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
    connection: Connection,
    configuration: Configuration,
    unserved: Collection[str],
    *,
    now: datetime,
) -> None:
    """Begin an alert for each destination, and for `EVENTS`, that no worker serves; end the others.

    `unserved` are those without a living worker, and `EVENTS` if its workers fall behind. Work that
    is late says so too, whatever it is that keeps the workers from it.
    """
    late = set(_with_late_work(connection))
    found = {}
    for name, destination in configuration.destinations.items():
        if destination.enabled and (name in late or name in unserved):
            waits = f"deliveries to {name} are due, and no worker takes them"
            what = waits if name in late else f"no worker serves {name}"
            found[f"destination {name}"] = f"{what}: start `hub worker`, or `hub worker {name}`"
    if EVENTS in unserved:
        found[EVENTS] = (
            "no worker folds events into contacts in time, looks through providers' lists: start "
            f"`hub worker`, or `hub worker {EVENTS}`"
        )
    alerts.update_open(connection, {alerts.NOT_SERVED: found}, now=now)


def _with_late_work(connection: Connection) -> list[str]:
    """Return the destinations that may be called, whose work is late and whose lanes nobody holds.

    A holder that rests for its rate holds its lane.
    """
    late = exists().where(
        Delivery.destination == Lane.destination,
        IS_DUE,
        Delivery.next_attempt_at <= database_later(-UNSERVED_S),
    )
    held = select(Lane.destination).where(Lane.lease_until > database_later(-UNSERVED_S))
    found = select(Lane.destination).where(
        ~Lane.paused,
        or_(Lane.blocked_until.is_(None), Lane.blocked_until <= database_later(-UNSERVED_S)),
        Lane.shard == 0,
        Lane.destination.not_in(held),
        late,
    )
    return sorted(connection.execute(found).scalars())
