"""Sessions: begun at sign-in under a new token, kept on the server, ended by anybody who may."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from hub.core.access.roles import Person, Role
from hub.core.ids import new_id
from hub.core.models import Session, User

IDLE = timedelta(hours=8)
LONGEST = timedelta(days=7)
SEEN_EVERY = timedelta(minutes=1)
MOST_AGENT = 200


def begin(
    connection: Connection,
    user_id: UUID,
    *,
    now: datetime,
    address: str | None = None,
    agent: str | None = None,
) -> str:
    """Sign somebody in; return the token that the browser keeps. Only its digest is stored."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(Session).values(
            id=new_id(now),
            user_id=user_id,
            digest=_digest(token),
            created_at=now,
            seen_at=now,
            proved_at=now,
            address=address,
            agent=(agent or "")[:MOST_AGENT] or None,
        )
    )
    return token


def find(connection: Connection, token: str, *, now: datetime) -> Person | None:
    """Return who a token stands for; None when it ended, grew old, or the account is disabled."""
    row = connection.execute(
        select(Session.id, Session.seen_at, Session.user_id, User.name, User.role,
               User.sees_personal)
        .join(User, User.id == Session.user_id)
        .where(
            Session.digest == _digest(token),
            Session.ended_at.is_(None),
            User.disabled_at.is_(None),
            Session.seen_at > now - IDLE,
            Session.created_at > now - LONGEST,
        )
    ).one_or_none()  # fmt: skip
    if row is None:
        return None
    if row.seen_at < now - SEEN_EVERY:
        connection.execute(update(Session).where(Session.id == row.id).values(seen_at=now))
    return Person(row.user_id, row.id, row.name, Role(row.role), row.sees_personal)


def end(connection: Connection, session_id: UUID, *, now: datetime) -> None:
    """End a session; its token is good for nothing from now on."""
    connection.execute(
        update(Session)
        .where(Session.id == session_id, Session.ended_at.is_(None))
        .values(ended_at=now)
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
