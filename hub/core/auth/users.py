"""User accounts of the dashboard: add, change, disable; every change goes to the audit log."""

import re
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, select, update

from hub.core.audit import record_action
from hub.core.auth import one_time_tokens, second_factor, sessions, throttle
from hub.core.auth.accounts import (
    UserAccount,
    account_of,
    lock_account,
    lock_administration,
    select_accounts,
)
from hub.core.auth.grants import (
    Rights,
    cancel_links_by,
    check_grant,
    keep_an_admin,
    lost_by_reset,
)
from hub.core.auth.one_time_tokens import Purpose
from hub.core.auth.roles import Role
from hub.core.errors import NotFound, Refused
from hub.core.ids import new_id
from hub.core.models import User, insert_if_new

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,79}")


def wanted_name(text: str) -> str:
    """Return a user name in its stored form, lower-case.

    Raises:
        Refused: the name is not valid.
    """
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise Refused(
            "a name is 1 to 80 of a-z 0-9 . _ @ + - and begins with a letter or a figure, "
            "like jane or jane@acme.example"
        )
    return name


def add(
    connection: Connection,
    name: str,
    role: Role,
    *,
    password_hash: str | None,
    sees_personal: bool = False,
    by: UUID | None = None,
    actor: str,
    now: datetime,
) -> UUID:
    """Insert an account; return its id. `by` is the id of the admin who adds it (`check_grant`).

    Raises:
        Refused: the name is not valid, or is taken, or the admin lacks a right that it is to have.
    """
    name = wanted_name(name)
    lock_administration(connection)
    check_grant(connection, by, whose=None, was=None, wanted=Rights(role, sees_personal))
    user_id = new_id(now)
    added = connection.execute(
        insert_if_new(connection, User)
        .values(
            id=user_id,
            name=name,
            role=role,
            sees_personal=sees_personal,
            password_hash=password_hash,
            created_at=now,
        )
        .returning(User.id)
    ).first()
    if added is None:
        raise Refused(f"there is a user {name} already")
    detail = {"role": role, "sees_personal": sees_personal}
    _note(connection, "add", name, actor=actor, now=now, detail=detail)
    return user_id


def has_accounts(connection: Connection) -> bool:
    """Return whether any account exists."""
    return bool(connection.execute(select(exists().select_from(User))).scalar())


def list_all(connection: Connection) -> list[UserAccount]:
    """Return all accounts, ordered by name, the disabled ones last."""
    rows = connection.execute(select_accounts().order_by(User.disabled_at.is_not(None), User.name))
    return [account_of(row) for row in rows]


def named(connection: Connection, name: str) -> UserAccount:
    """Return the account with a name.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        select_accounts().where(User.name == name.strip().lower())
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no user {name.strip().lower()}: `hub users list` shows them")
    return account_of(row)


def with_id(connection: Connection, user_id: UUID | None) -> UserAccount:
    """Return the account with an id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(select_accounts().where(User.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such user")
    return account_of(row)


def change(
    connection: Connection,
    user: UserAccount,
    *,
    role: Role,
    sees_personal: bool,
    by: UUID | None = None,
    actor: str,
    now: datetime,
) -> bool:
    """Change the role of a user or the access to personal data, with immediate effect.

    What differs from `user` is changed: another admin may be revoking the other right meanwhile.
    `by` is the id of the admin who changes it (`check_grant`). With a right more, the link to the
    account's password is cancelled, since whoever made it may lack that right; return whether there
    was one.

    Raises:
        Refused: no admin would be left to undo it, or the right is not the admin's to give.
    """
    was = lock_account(connection, user.id)
    wanted = Rights(
        was.role if role == user.role else role,
        was.sees_personal if sees_personal == user.sees_personal else sees_personal,
    )
    if wanted == was.rights:
        return False
    check_grant(connection, by, whose=user.id, was=was.rights, wanted=wanted)
    if wanted.role is not Role.ADMIN:
        keep_an_admin(connection, user.id, user.name)
    connection.execute(update(User).where(User.id == user.id).values(**asdict(wanted)))
    if was.rights.exceed(wanted):
        cancel_links_by(connection, user.actor, now=now)
    detail = asdict(wanted) | {"was": asdict(was.rights)}
    _note(connection, "change", user.name, actor=actor, now=now, detail=detail)
    if not wanted.exceed(was.rights):
        return False
    return one_time_tokens.cancel_tokens(connection, Purpose.PASSWORD, user.id, now=now)


def disable(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> None:
    """Disable an account: end its sessions and cancel its tickets.

    Raises:
        Refused: no admin would be left to undo it.
    """
    if lock_account(connection, user.id).disabled_at is not None:
        return
    keep_an_admin(connection, user.id, user.name)
    connection.execute(update(User).where(User.id == user.id).values(disabled_at=now))
    sessions.end_all(connection, user.id, now=now)
    for purpose in (Purpose.PASSWORD, Purpose.MFA_PENDING):
        one_time_tokens.cancel_tokens(connection, purpose, user.id, now=now)
    cancel_links_by(connection, user.actor, now=now)
    _note(connection, "disable", user.name, actor=actor, now=now)


def enable(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> None:
    """Enable a disabled account."""
    if lock_account(connection, user.id).disabled_at is None:
        return
    connection.execute(update(User).where(User.id == user.id).values(disabled_at=None))
    _note(connection, "enable", user.name, actor=actor, now=now)


def invite(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> str:
    """Return the secret of a ticket for setting the password; earlier ones are cancelled."""
    lock_account(connection, user.id)
    _note(connection, "link", user.name, actor=actor, now=now)
    return one_time_tokens.issue_token(connection, Purpose.PASSWORD, user.id, now=now)


def invite_first(connection: Connection, *, now: datetime) -> str | None:
    """Return the secret of a ticket for the first account; None if an account exists.

    Earlier tickets for it are cancelled.
    """
    if has_accounts(connection):
        return None
    return one_time_tokens.issue_token(connection, Purpose.FIRST, None, now=now)


def reset(
    connection: Connection,
    user: UserAccount,
    *,
    by: UUID | None = None,
    actor: str,
    now: datetime,
) -> str:
    """Remove password and second factor, end all sessions; return the secret of a new ticket.

    The access to personal data goes too if the admin with the id `by` lacks it (`lost_by_reset`).

    Raises:
        Refused: the account is disabled, or the admin is none any more.
    """
    was = lock_account(connection, user.id)
    if was.disabled_at is not None:
        raise Refused(f"{user.name} is disabled: enable the account first")
    lost = lost_by_reset(connection, by, was.rights)
    connection.execute(update(User).where(User.id == user.id).values(password_hash=None, **lost))
    second_factor.drop(connection, user.id)
    sessions.end_all(connection, user.id, now=now)
    one_time_tokens.cancel_tokens(connection, Purpose.MFA_PENDING, user.id, now=now)
    throttle.unlock(connection, user.name)
    cancel_links_by(connection, user.actor, now=now)
    _note(connection, "reset", user.name, actor=actor, now=now, detail=lost or None)
    return one_time_tokens.issue_token(connection, Purpose.PASSWORD, user.id, now=now)


def unlock(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> None:
    """Lift the throttle of an account, however many attempts have failed."""
    throttle.unlock(connection, user.name)
    _note(connection, "unlock", user.name, actor=actor, now=now)


def _note(
    connection: Connection,
    change: str,
    name: str,
    *,
    actor: str,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    record_action(
        connection,
        actor=actor,
        action=f"user.{change}",
        subject=f"user {name}",
        now=now,
        detail=detail,
    )
