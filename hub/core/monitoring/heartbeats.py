"""Heartbeats: the time at which each process loop, such as the clock's, last completed a cycle."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from hub.core.models import Heartbeat, database_now, insert_if_new

CLOCK = "clock"


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
