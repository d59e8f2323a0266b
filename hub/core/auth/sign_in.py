"""Sign-in: password, second factor and session, each step recorded in the audit log.

Password hashing is slow, so the web layer does it between the transactions of these steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, select, update

from hub.core.audit import record_action
from hub.core.auth import one_time_tokens, sessions, throttle, users
from hub.core.auth.one_time_tokens import Purpose
from hub.core.auth.roles import Role
from hub.core.auth.throttle import ThrottleResult
from hub.core.errors import Refused
from hub.core.models import User

NOBODY = "nobody"
MOST_NAME = 200
CHANGED_JUST_NOW = "your account was changed just now: sign in again"
STALE_LINK = "this link was used already, or is too old: ask whoever gave it to you for another"


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Sign-in attempt before it is checked: throttle result, name, and stored credentials.

    `user_id` is None for an unknown name or a disabled account, `password_hash` is None also for an
    account without a password. The web layer then checks the password all the same, against a hash
    that belongs to no account.
    """

    counted: ThrottleResult
    name: str
    user_id: UUID | None
    password_hash: str | None = field(repr=False)
    totp_secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Browser:
    """Browser of a sign-in: its IP address and user agent, if known.

    `token` is that of the session that it has or had, which may be another account's.
    """

    address: str | None
    agent: str | None
    token: str | None = field(default=None, repr=False)


def begin_attempt(
    connection: Connection, name: str, browser: Browser, *, now: datetime
) -> SignInAttempt:
    """Count a sign-in attempt; return it with the credentials that it is checked against."""
    name = name.replace("\0", "").strip().lower()[:MOST_NAME]
    before = sessions.begun_with(connection, browser.token, name)
    counted = throttle.register_attempt(connection, name, browser.address, browser=before, now=now)
    row = connection.execute(
        select(User.id, User.password_hash, User.totp_secret)
        .where(User.name == name, User.disabled_at.is_(None))
    ).one_or_none()  # fmt: skip
    if row is None:
        return SignInAttempt(counted, name, None, None, None)
    return SignInAttempt(counted, name, row.id, row.password_hash, row.totp_secret)


def refuse_attempt(
    connection: Connection, attempt: SignInAttempt, browser: Browser, *, what: str, now: datetime
) -> None:
    """Record a refused attempt, where `what` (as the password) was wrong.

    An unknown name is not stored: it may be a password, typed into the wrong field. Of a flood of
    them the log keeps the first ones, and that there were more.
    """
    if attempt.user_id is None:
        n = throttle.count_refusal_of_nobody(connection, now=now)
        if n > throttle.NOTED + 1:
            return
        if n > throttle.NOTED:
            what = f"{what}; after {throttle.NOTED} in an hour, its others have no entry"
    record_action(
        connection,
        actor=NOBODY,
        action="sign_in.refused",
        subject=f"user {attempt.name}" if attempt.user_id else "no user",
        reason=f"wrong {what}",
        detail={"address": browser.address},
        now=now,
    )


def issue_mfa_ticket(connection: Connection, attempt: SignInAttempt, *, now: datetime) -> str:
    """Return a ticket for the second step: the password was correct, the code is to come.

    Raises:
        Refused: the password was changed or the account disabled while it was checked.
    """
    _lock_unchanged(connection, attempt)
    return one_time_tokens.issue_token(connection, Purpose.MFA_PENDING, attempt.user_id, now=now)


def complete_attempt(
    connection: Connection,
    attempt: SignInAttempt,
    user_id: UUID,
    browser: Browser,
    *,
    by: str,
    now: datetime,
) -> str:
    """Begin a session once all factors are verified; return its token.

    Raises:
        Refused: password or second factor were changed, or the account was disabled, while they
            were checked.
    """
    _lock_unchanged(connection, attempt)
    throttle.clear(connection, attempt.counted)
    return _begin_session(connection, user_id, attempt.name, browser, by=by, now=now)


def rehash(connection: Connection, user_id: UUID, was: str, password_hash: str) -> None:
    """Store a new hash of the same password, unless the password was changed meanwhile."""
    connection.execute(
        update(User)
        .where(User.id == user_id, User.password_hash == was)
        .values(password_hash=password_hash)
    )


def change_password(
    connection: Connection,
    user_id: UUID,
    was: str | None,
    password_hash: str,
    *,
    session_id: UUID,
    actor: str,
    now: datetime,
) -> None:
    """Change the password of a signed-in user who entered the old one; end all other sessions.

    Raises:
        Refused: the password was changed or the account disabled while the old one was checked.
    """
    changed = connection.execute(
        update(User).where(*_is_still(user_id, was)).values(password_hash=password_hash)
    )
    if not changed.rowcount:
        raise Refused(CHANGED_JUST_NOW)
    sessions.end_all(connection, user_id, now=now, but=session_id)
    for purpose in (Purpose.PASSWORD, Purpose.MFA_PENDING):
        one_time_tokens.cancel_tokens(connection, purpose, user_id, now=now)
    sessions.mark_proved(connection, session_id, now=now)
    user = users.with_id(connection, user_id)
    record_action(
        connection, actor=actor, action="password.change", subject=f"user {user.name}", now=now
    )


def set_password(
    connection: Connection, ticket: str, password_hash: str, browser: Browser, *, now: datetime
) -> str:
    """Set the password of a ticket's user and begin a session; return its token.

    Raises:
        Refused: the ticket is not valid any more.
    """
    held = one_time_tokens.find_token(connection, ticket, Purpose.PASSWORD, now=now)
    if held is None or held.user_id is None:
        raise Refused(STALE_LINK)
    # The row before the ticket, as whoever cancels it: neither waits for the other.
    connection.execute(select(User.id).where(User.id == held.user_id).with_for_update())
    user = users.with_id(connection, held.user_id)
    if one_time_tokens.use_token(connection, ticket, Purpose.PASSWORD, now=now) is None:
        raise Refused(STALE_LINK)
    connection.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
    sessions.end_all(connection, user.id, now=now)
    one_time_tokens.cancel_tokens(connection, Purpose.MFA_PENDING, user.id, now=now)
    throttle.unlock(connection, user.name)
    record_action(
        connection,
        actor=f"user:{user.name}",
        action="password.set",
        subject=f"user {user.name}",
        detail={"address": browser.address},
        now=now,
    )
    return _begin_session(connection, user.id, user.name, browser, by="a link", now=now)


def create_first_account(
    connection: Connection,
    ticket: str,
    name: str,
    password_hash: str,
    browser: Browser,
    *,
    now: datetime,
) -> str:
    """Create the first account, an admin, and begin a session; return its token.

    Raises:
        Refused: the ticket is not valid any more, an account exists already, or the name is not
            valid.
    """
    name = users.wanted_name(name)
    held = one_time_tokens.use_token(connection, ticket, Purpose.FIRST, now=now)
    if held is None or users.has_accounts(connection):
        raise Refused(STALE_LINK)
    user_id = users.add(
        connection, name, Role.ADMIN, password_hash=password_hash, sees_personal=True,
        actor="the first link", now=now,
    )  # fmt: skip
    return _begin_session(connection, user_id, name, browser, by="the first link", now=now)


def leave(connection: Connection, session_id: UUID, *, actor: str, now: datetime) -> None:
    """End one session at its user's request (sign-out), and record it in the audit log."""
    sessions.end(connection, session_id, now=now)
    record_action(
        connection, actor=actor, action="sign_out", subject=actor.replace(":", " "), now=now
    )


def _lock_unchanged(connection: Connection, attempt: SignInAttempt) -> None:
    """Lock the row of an account whose credentials are those that an attempt was checked against.

    Raises:
        Refused: they are not.
    """
    still = (
        *_is_still(attempt.user_id, attempt.password_hash),
        User.totp_secret.is_not_distinct_from(attempt.totp_secret),
    )
    if connection.execute(select(User.id).where(*still).with_for_update()).first() is None:
        raise Refused(CHANGED_JUST_NOW)


def _is_still(user_id: UUID | None, password_hash: str | None) -> Sequence[ColumnElement[bool]]:
    return (
        User.id == user_id,
        User.disabled_at.is_(None),
        User.password_hash.is_not(None),
        User.password_hash == password_hash,
    )


def _begin_session(
    connection: Connection, user_id: UUID, name: str, browser: Browser, *, by: str, now: datetime
) -> str:
    connection.execute(update(User).where(User.id == user_id).values(signed_in_at=now))
    record_action(
        connection,
        actor=f"user:{name}",
        action="sign_in",
        subject=f"user {name}",
        reason=f"by {by}",
        detail={"address": browser.address},
        now=now,
    )
    return sessions.begin(
        connection, user_id, now=now, address=browser.address, agent=browser.agent
    )
