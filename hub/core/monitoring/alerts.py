"""Alerts: conditions that an operator must know of; one open alert per kind and subject."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, func, select, update
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
NOT_FOLDED = "events are not folded"
NOT_SERVED = "no worker serves it"
UNDECLARED_PROXY = "visitors share one limit"
OVER_BUDGET = "too much to keep"
DISK_LOW = "disk nearly full"
DISK_FULL = "disk full"
HELD_LEADS_END = "held leads are about to be deleted"


def begin(connection: Connection, kind: str, subject: str, message: str, *, now: datetime) -> bool:
    """Begin an alert unless one is open for that kind and subject; return whether it is new.

    An open alert is locked, so a transaction that is about to end it without knowing of this call
    has to wait.
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


def reword(connection: Connection, kind: str, subject: str, message: str) -> None:
    """Change the message of the open alert of a kind and subject, if there is one."""
    connection.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject == subject, Alert.ended_at.is_(None))
        .values(message=message)
    )


def end(connection: Connection, kind: str, subject: str, *, now: datetime) -> None:
    """End the open alert of a kind and subject, if there is one."""
    connection.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject == subject, Alert.ended_at.is_(None))
        .values(ended_at=now)
    )


def update_open(
    connection: Connection, found: Mapping[str, Mapping[str, str]], *, now: datetime
) -> None:
    """Begin and end alerts so that the open ones are `found`: messages by kind and subject.

    Alerts of other kinds are left alone.
    """
    rows = connection.execute(
        select(Alert.kind, Alert.subject).where(Alert.kind.in_(found), Alert.ended_at.is_(None))
    )
    said = {(row.kind, row.subject) for row in rows}
    wanted = {(kind, one): text for kind, texts in found.items() for one, text in texts.items()}
    for (kind, subject), message in wanted.items():
        if (kind, subject) not in said:
            begin(connection, kind, subject, message, now=now)
    for kind, subject in sorted(said - wanted.keys()):
        end(connection, kind, subject, now=now)


def open_kinds(connection: Connection) -> set[str]:
    """Return the kinds that have an open alert: one look into their index for each."""
    return set(connection.execute(_OPEN_KINDS).scalars())


def _first_kind(*conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    return (
        select(func.min(Alert.kind)).where(Alert.ended_at.is_(None), *conditions).scalar_subquery()
    )


def _open_kinds() -> Select[str]:
    """Return the statement that goes from one kind to the next, however many alerts each has."""
    found = select(_first_kind().label("kind")).cte(recursive=True)
    found = found.union_all(
        select(_first_kind(Alert.kind > found.c.kind)).where(found.c.kind.is_not(None))
    )
    return select(found.c.kind).where(found.c.kind.is_not(None))


_OPEN_KINDS = _open_kinds()


def end_one(connection: Connection, alert_id: UUID, *, now: datetime) -> tuple[str, str]:
    """End an alert that an operator has dealt with; return its kind and subject.

    Raises:
        NotFound: there is no such alert, or it has ended already.
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
    """Return the subjects of the open alerts of a kind.

    `to_end`: lock the alerts, for a caller that then checks whether they are over. An alert whose
    cause is reported only once must not begin between that check and the end.
    """
    said = select(Alert.subject).where(Alert.kind == kind, Alert.ended_at.is_(None))
    if to_end:
        said = said.order_by(Alert.id).with_for_update()
    return set(connection.execute(said).scalars())
