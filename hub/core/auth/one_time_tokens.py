"""Tickets: secrets that are good once and for a while, kept as digests alone."""

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
    """What a ticket is good for."""

    FIRST = "first"  # make the first account
    PASSWORD = "password"  # noqa: S105 - set the password of an account
    MFA_PENDING = "half"  # the password was right, the second factor is to come


GOOD_FOR = {
    Purpose.FIRST: timedelta(hours=24),
    Purpose.PASSWORD: timedelta(hours=48),
    Purpose.MFA_PENDING: timedelta(minutes=5),
}


@dataclass(frozen=True, slots=True)
class TicketInfo:
    """What a good ticket says."""

    purpose: Purpose
    user_id: UUID | None


def issue_token(
    connection: Connection, purpose: Purpose, user_id: UUID | None, *, now: datetime
) -> str:
    """Return a new secret. Links that were given out before for the same are good no more."""
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
    """Let no ticket of that kind be good any more."""
    connection.execute(
        update(Ticket)
        .where(Ticket.purpose == purpose, Ticket.user_id == user_id, Ticket.used_at.is_(None))
        .values(used_at=now)
    )


def find_token(
    connection: Connection, secret: str, *purposes: Purpose, now: datetime
) -> TicketInfo | None:
    """Return what a secret is good for, and leave it good; None if it is not."""
    row = connection.execute(
        select(Ticket.purpose, Ticket.user_id).where(*_is_good(secret, purposes, now))
    ).one_or_none()
    return row and TicketInfo(Purpose(row.purpose), row.user_id)


def use_token(
    connection: Connection, secret: str, *purposes: Purpose, now: datetime
) -> TicketInfo | None:
    """Return what a secret was good for, and let it be good no more; None if it was not."""
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
