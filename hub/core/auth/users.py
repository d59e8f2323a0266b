"""User accounts of the dashboard: add, change, disable; every change goes to the audit log."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from hub.core.audit import record_action
from hub.core.auth import one_time_tokens, second_factor, sessions, throttle
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


@dataclass(frozen=True, slots=True)
class UserAccount:
    """User account, without its credentials."""

    id: UUID
    name: str
    role: Role
    sees_personal: bool
    has_password: bool
    has_second_factor: bool
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None

    @property
    def rights(self) -> Rights:
        return Rights(self.role, self.sees_personal)

    @property
    def actor(self) -> str:
        return f"user:{self.name}"


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


def list_all(connection: Connection) -> list[UserAccount]:
    """Return all accounts, ordered by name, the disabled ones last."""
    rows = connection.execute(_accounts().order_by(User.disabled_at.is_not(None), User.name))
    return [_account(row) for row in rows]


def named(connection: Connection, name: str) -> UserAccount:
    """Return the account with a name.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(_accounts().where(User.name == name.strip().lower())).one_or_none()
    if row is None:
        raise NotFound(f"there is no user {name.strip().lower()}: `hub users list` shows them")
    return _account(row)


def with_id(connection: Connection, user_id: UUID | None) -> UserAccount:
    """Return the account with an id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(_accounts().where(User.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such user")
    return _account(row)


def change(
    connection: Connection,
    user: UserAccount,
    *,
    role: Role,
    sees_personal: bool,
    by: UUID | None = None,
    actor: str,
    now: datetime,
) -> None:
    """Change the role of a user or the access to personal data, with immediate effect.

    Only the changed column is written: another admin may be revoking the other right meanwhile.
    `by` is the id of the admin who changes it (`check_grant`).

    Raises:
        Refused: no admin would be left to undo it, or the right is not the admin's to give.
    """
    if (role, sees_personal) == (user.role, user.sees_personal):
        return
    check_grant(connection, by, whose=user.id, was=user.rights, wanted=Rights(role, sees_personal))
    if role is not Role.ADMIN:
        keep_an_admin(connection, user.id, user.name)
    wanted = {"role": role, "sees_personal": sees_personal}
    values = {name: value for name, value in wanted.items() if value != getattr(user, name)}
    connection.execute(update(User).where(User.id == user.id).values(**values))
    detail = {
        "role": role,
        "sees_personal": sees_personal,
        "was": {"role": user.role, "sees_personal": user.sees_personal},
    }
    if user.rights.exceed(Rights(role, sees_personal)):
        cancel_links_by(connection, user.actor, now=now)
    _note(connection, "change", user.name, actor=actor, now=now, detail=detail)


def disable(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> None:
    """Disable an account: end its sessions and cancel its tickets.

    Raises:
        Refused: no admin would be left to undo it.
    """
    if user.disabled_at is not None:
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
    if user.disabled_at is None:
        return
    connection.execute(update(User).where(User.id == user.id).values(disabled_at=None))
    _note(connection, "enable", user.name, actor=actor, now=now)


def invite(connection: Connection, user: UserAccount, *, actor: str, now: datetime) -> str:
    """Return the secret of a ticket for setting the password; earlier ones are cancelled."""
    _note(connection, "link", user.name, actor=actor, now=now)
    return one_time_tokens.issue_token(connection, Purpose.PASSWORD, user.id, now=now)


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
    lost = lost_by_reset(connection, by, user.rights)
    changed = connection.execute(
        update(User)
        .where(User.id == user.id, User.disabled_at.is_(None))
        .values(password_hash=None, **lost)
    )
    if not changed.rowcount:
        raise Refused(f"{user.name} is disabled: enable the account first")
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


def _accounts() -> Any:
    return select(
        User.id,
        User.name,
        User.role,
        User.sees_personal,
        User.password_hash.is_not(None).label("has_password"),
        User.totp_secret.is_not(None).label("has_second_factor"),
        User.created_at,
        User.signed_in_at,
        User.disabled_at,
    )


def _account(row: Any) -> UserAccount:
    return UserAccount(**dict(row._mapping) | {"role": Role(row.role)})


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
