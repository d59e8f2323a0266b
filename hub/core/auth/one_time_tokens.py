"""Tickets (one-time tokens): secrets valid once and for a limited time, stored as digests only."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from hub.core.advisory_locks import advisory_lock
from hub.core.errors import Refused
from hub.core.models import Ticket, insert_if_new

KEPT = timedelta(days=1)


class Purpose(StrEnum):
    """Purpose of a ticket."""

    # Create the first account.
    FIRST = "first"
    # Set the password of an account.
    PASSWORD = "password"  # noqa: S105 - a purpose, not a password
    # Give the second factor: the password was correct.
    MFA_PENDING = "half"
    # A form whose answer shows a secret was sent.
    FORM = "form"


GOOD_FOR = {
    Purpose.FIRST: timedelta(hours=24),
    Purpose.PASSWORD: timedelta(hours=48),
    Purpose.MFA_PENDING: timedelta(minutes=5),
    # Longer than any session, without which the form is refused in any case.
    Purpose.FORM: timedelta(days=90),
}
SHOWN_BEFORE = (
    "this was done before, and what it showed is shown once: go back, load the page again, "
    "and press the button there if you need a new one"
)


@dataclass(frozen=True, slots=True)
class TicketInfo:
    """Purpose and user of a valid ticket."""

    purpose: Purpose
    user_id: UUID | None


def issue_token(
    connection: Connection, purpose: Purpose, user_id: UUID | None, *, now: datetime
) -> str:
    """Insert a ticket and return its secret.

    Earlier tickets of the same purpose and user are cancelled, except for `MFA_PENDING`.
    """
    connection.execute(delete(Ticket).where(Ticket.ends_at < now - KEPT))
    if purpose is not Purpose.MFA_PENDING:
        advisory_lock(connection, "ticket", purpose, str(user_id))
        cancel_tokens(connection, purpose, user_id, now=now)
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(Ticket).values(
            digest=_digest(secret),
            purpose=purpose,
            user_id=user_id,
            created_at=now,
            ends_at=now + GOOD_FOR[purpose],
        )
    )
    return secret


def cancel_tokens(
    connection: Connection, purpose: Purpose, user_id: UUID | None, *, now: datetime
) -> bool:
    """Invalidate all tickets of a purpose and a user; return whether one was valid."""
    cancelled = connection.execute(
        update(Ticket)
        .where(Ticket.purpose == purpose, Ticket.user_id == user_id, Ticket.used_at.is_(None))
        .values(used_at=now)
        .returning(Ticket.ends_at)
    ).scalars()
    return any(ends_at > now for ends_at in cancelled)


def find_token(
    connection: Connection, secret: str, *purposes: Purpose, now: datetime
) -> TicketInfo | None:
    """Return the ticket of a secret without using it up; None if it is not valid."""
    row = connection.execute(
        select(Ticket.purpose, Ticket.user_id).where(*_is_good(secret, purposes, now))
    ).one_or_none()
    return row and TicketInfo(Purpose(row.purpose), row.user_id)


def use_token(
    connection: Connection, secret: str, *purposes: Purpose, now: datetime
) -> TicketInfo | None:
    """Return the ticket of a secret and use it up; None if it was not valid."""
    row = connection.execute(
        update(Ticket)
        .where(*_is_good(secret, purposes, now))
        .values(used_at=now)
        .returning(Ticket.purpose, Ticket.user_id)
    ).one_or_none()
    return row and TicketInfo(Purpose(row.purpose), row.user_id)


def refuse_repeated_form(connection: Connection, mark: str | None, *, now: datetime) -> None:
    """Ensure that a form is sent for the first time: a reload of its answer sends it again.

    `mark` is the form's own random text; None from a program that fills in no page.

    Raises:
        Refused: the form was sent before.
    """
    if not mark:
        return
    is_first = connection.execute(
        insert_if_new(connection, Ticket)
        .values(
            digest=_digest(f"form {mark}"),
            purpose=Purpose.FORM,
            created_at=now,
            ends_at=now + GOOD_FOR[Purpose.FORM],
            used_at=now,
        )
        .returning(Ticket.purpose)
    ).first()
    if is_first is None:
        raise Refused(SHOWN_BEFORE)


def _is_good(
    secret: str, purposes: Sequence[Purpose], now: datetime
) -> Sequence[ColumnElement[bool]]:
    return (
        Ticket.digest == _digest(secret),
        Ticket.purpose.in_(purposes),
        Ticket.used_at.is_(None),
        Ticket.ends_at > now,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
