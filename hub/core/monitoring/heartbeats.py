"""That a part of the hub goes: it says so each time it has gone round."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from hub.core.models import Heartbeat, database_now, insert_if_new

CLOCK = "clock"


def beat(connection: Connection, name: str) -> None:
    """Note that a part of the hub has gone round just now, by the database's clock."""
    noted = connection.execute(
        update(Heartbeat).where(Heartbeat.name == name).values(at=database_now())
    )
    if not noted.rowcount:
        connection.execute(
            insert_if_new(connection, Heartbeat).values(name=name, at=database_now())
        )


def last_beat(connection: Connection, name: str) -> datetime | None:
    """Return when it last went round; None if it never did."""
    found = connection.execute(select(Heartbeat.at).where(Heartbeat.name == name))
    return found.scalar_one_or_none()
