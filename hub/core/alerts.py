"""Alerts: what a person must know of, said once for as long as it lasts."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from hub.core.ids import new_id
from hub.core.models import Alert, insert_if_new

DOUBLE_EFFECT = "double effect"
UNKNOWN_OUTCOME = "unknown outcome"


def begin(connection: Connection, kind: str, subject: str, message: str, *, now: datetime) -> bool:
    """Say what is wrong with a subject, unless it is being said; return whether it is new."""
    made = connection.execute(
        insert_if_new(connection, Alert)
        .values(id=new_id(now), kind=kind, subject=subject, message=message, began_at=now)
        .returning(Alert.id)
    )
    return made.first() is not None


def end(connection: Connection, kind: str, subject: str, *, now: datetime) -> None:
    """Note that it is over."""
    connection.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject == subject, Alert.ended_at.is_(None))
        .values(ended_at=now)
    )


def subjects(connection: Connection, kind: str) -> set[str]:
    """Return what is being said of a kind."""
    said = select(Alert.subject).where(Alert.kind == kind, Alert.ended_at.is_(None))
    return set(connection.execute(said).scalars())
