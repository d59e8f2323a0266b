"""Sessions: stored on the server, found by a token that is new at each sign-in, revocable.

User agents are shown as a browser and a system that the user recognizes.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from hub.core.auth.roles import Principal, Role
from hub.core.ids import new_id
from hub.core.models import Session, User

# The order matters: nearly all user agents also contain `Safari`.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl/", "curl"),
    ("python", "a Python program"),
)
_SYSTEMS = (
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "a Mac"),
    ("Linux", "Linux"),
)
IDLE = timedelta(hours=8)
LONGEST = timedelta(days=7)
SEEN_EVERY = timedelta(minutes=1)
# Longer than any session lives. Rows are deleted by id: a UUIDv7 holds its session's start time.
KEPT = timedelta(days=120)
MOST_AGENT = 200
MOST_SHOWN = 100


def device_of(agent: str | None) -> str:
    """Return the device of a user agent in words, such as `Firefox on Windows`."""
    said = agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in said), None)
    system = next((name for mark, name in _SYSTEMS if mark in said), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or (f"A browser on {system}" if system else "A device that says no name")


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Open session of a user; `address` and `device` as far as they are known."""

    id: UUID
    device: str
    address: str | None
    created_at: datetime
    seen_at: datetime


def begin(
    connection: Connection,
    user_id: UUID,
    *,
    now: datetime,
    address: str | None = None,
    agent: str | None = None,
) -> str:
    """Insert a session; return the token for the browser, of which only the digest is stored."""
    connection.execute(delete(Session).where(Session.id < new_id(now - KEPT)))
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


def find(
    connection: Connection,
    token: str,
    *,
    now: datetime,
    idle: timedelta = IDLE,
    longest: timedelta = LONGEST,
    seen: bool = True,
) -> Principal | None:
    """Return the principal of a token; None if the session ended or expired.

    The same holds for a disabled account. `seen`: the request was made by a person, not by a page
    that refreshes itself, so it counts as activity.
    """
    row = connection.execute(
        select(Session.id, Session.seen_at, Session.proved_at, Session.user_id, User.name,
               User.role, User.sees_personal, User.totp_secret.is_not(None).label("has_factor"))
        .join(User, User.id == Session.user_id)
        .where(
            Session.digest == _digest(token),
            Session.ended_at.is_(None),
            User.disabled_at.is_(None),
            Session.seen_at > now - idle,
            Session.created_at > now - longest,
        )
    ).one_or_none()  # fmt: skip
    if row is None:
        return None
    if seen and row.seen_at < now - SEEN_EVERY:
        connection.execute(update(Session).where(Session.id == row.id).values(seen_at=now))
    return Principal(
        row.user_id,
        row.id,
        row.name,
        Role(row.role),
        row.sees_personal,
        proved_at=row.proved_at,
        has_second_factor=row.has_factor,
    )


def begun_with(connection: Connection, token: str | None, name: str) -> UUID | None:
    """Return the session of a token if the account with a name began it, ended or not, else None.

    It shows that the account was used in the browser that holds the token, and opens nothing.
    """
    if token is None:
        return None
    return connection.execute(
        select(Session.id).join(User, User.id == Session.user_id)
        .where(Session.digest == _digest(token), User.name == name)
    ).scalar_one_or_none()  # fmt: skip


def end(connection: Connection, session_id: UUID, *, now: datetime) -> None:
    """End a session; its token is invalid from now on."""
    connection.execute(
        update(Session)
        .where(Session.id == session_id, Session.ended_at.is_(None))
        .values(ended_at=now)
    )


def end_of(connection: Connection, user_id: UUID, session_id: UUID, *, now: datetime) -> bool:
    """End one session of a user; return whether it was that user's and open."""
    ended = connection.execute(
        update(Session)
        .where(Session.id == session_id, Session.user_id == user_id, Session.ended_at.is_(None))
        .values(ended_at=now)
    )
    return ended.rowcount == 1


def end_all(
    connection: Connection, user_id: UUID, *, now: datetime, but: UUID | None = None
) -> int:
    """End all sessions of a user, except `but`; return their number."""
    which = [Session.user_id == user_id, Session.ended_at.is_(None)]
    if but is not None:
        which.append(Session.id != but)
    return connection.execute(update(Session).where(*which).values(ended_at=now)).rowcount


def mark_proved(connection: Connection, session_id: UUID, *, now: datetime) -> None:
    """Record that the password, and the code if there is one, were entered again in a session."""
    connection.execute(update(Session).where(Session.id == session_id).values(proved_at=now))


def list_open(
    connection: Connection,
    user_id: UUID,
    *,
    now: datetime,
    idle: timedelta = IDLE,
    longest: timedelta = LONGEST,
) -> list[OpenSession]:
    """Return the open sessions of a user, newest first, at most `MOST_SHOWN`."""
    rows = connection.execute(
        select(Session)
        .with_only_columns(
            Session.id, Session.agent, Session.address, Session.created_at, Session.seen_at
        )
        .where(
            Session.user_id == user_id,
            Session.ended_at.is_(None),
            Session.seen_at > now - idle,
            Session.created_at > now - longest,
        )
        .order_by(Session.id.desc())
        .limit(MOST_SHOWN)
    )
    return [
        OpenSession(row.id, device_of(row.agent), row.address, row.created_at, row.seen_at)
        for row in rows
    ]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
