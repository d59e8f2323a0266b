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
from hub.core.models import Ticket

KEPT = timedelta(days=1)


class Purpose(StrEnum):
    """Purpose of a ticket."""

    # Create the first account.
    FIRST = "first"
    # Set the password of an account.
    PASSWORD = "password"  # noqa: S105 - a purpose, not a password
    # Give the second factor: the password was correct.
    MFA_PENDING = "half"


GOOD_FOR = {
    Purpose.FIRST: timedelta(hours=24),
    Purpose.PASSWORD: timedelta(hours=48),
    Purpose.MFA_PENDING: timedelta(minutes=5),
}


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
) -> None:
    """Invalidate all tickets of a purpose and a user."""
    connection.execute(
        update(Ticket)
        .where(Ticket.purpose == purpose, Ticket.user_id == user_id, Ticket.used_at.is_(None))
        .values(used_at=now)
    )


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
