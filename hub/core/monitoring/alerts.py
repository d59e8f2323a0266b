"""Alerts: what a person must know of, said once for as long as it lasts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.core.errors import NotFound
from hub.core.ids import new_id
from hub.core.models import Alert

DOUBLE_EFFECT = "double effect"
UNKNOWN_OUTCOME = "unknown outcome"
SILENT_SOURCE = "silent source"
NOT_VERIFIED = "signatures do not verify"
BLOCKED = "destination blocked"
RESTORED = "restored from a backup"
LIST_NOT_READABLE = "list not readable"
CAP_REACHED = "cap reached"
CAPTCHA_FAILS = "captcha does not work"
DUTY_FAILS = "duty of the clock fails"
ENDS_WORKERS = "delivery ends its workers"


def begin(connection: Connection, kind: str, subject: str, message: str, *, now: datetime) -> bool:
    """Say what is wrong with a subject, unless it is being said; return whether it is new.

    What is being said is locked: whoever would end it, not knowing of this, has to wait.
    """
    alert_id = new_id(now)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    said = connection.execute(
        insert(Alert)
        .values(id=alert_id, kind=kind, subject=subject, message=message, began_at=now)
        .on_conflict_do_update(
            index_elements=[Alert.kind, Alert.subject],
            index_where=Alert.ended_at.is_(None),
            set_={"kind": Alert.kind},
        )
        .returning(Alert.id)
    )
    return said.scalar_one() == alert_id


def end(connection: Connection, kind: str, subject: str, *, now: datetime) -> None:
    """Note that it is over."""
    connection.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject == subject, Alert.ended_at.is_(None))
        .values(ended_at=now)
    )


def end_one(connection: Connection, alert_id: UUID, *, now: datetime) -> tuple[str, str]:
    """Note that somebody has seen to an alert; return its kind and subject.

    Raises:
        NotFound: there is no such alert, or it is over.
    """
    ended = connection.execute(
        update(Alert)
        .where(Alert.id == alert_id, Alert.ended_at.is_(None))
        .values(ended_at=now)
        .returning(Alert.kind, Alert.subject)
    ).first()
    if ended is None:
        raise NotFound("it is over already, or there is no such alert")
    return ended.kind, ended.subject


def subjects(connection: Connection, kind: str, *, to_end: bool = False) -> set[str]:
    """Return what is being said of a kind.

    `to_end`: it is locked, for whoever then looks whether it is over. What begins only once must
    not begin between that look and the end.
    """
    said = select(Alert.subject).where(Alert.kind == kind, Alert.ended_at.is_(None))
    if to_end:
        said = said.order_by(Alert.id).with_for_update()
    return set(connection.execute(said).scalars())
