"""User accounts as they are read, and the lock under which their rights and links change.

Whether a right may be given, or a link may be made, depends on several accounts. So all that
decides it takes one lock first and reads them then: what it goes by stays until its commit.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from hub.core.advisory_locks import advisory_lock
from hub.core.auth.grants import Rights
from hub.core.auth.roles import Role
from hub.core.errors import NotFound
from hub.core.models import User


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


def select_accounts() -> Any:
    """Return the query of all accounts; `account_of` reads its rows."""
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


def account_of(row: Any) -> UserAccount:
    """Return the account of a row of `select_accounts`."""
    return UserAccount(**dict(row._mapping) | {"role": Role(row.role)})


def lock_administration(connection: Connection) -> None:
    """Wait until nobody else changes rights or makes links, until the transaction ends."""
    advisory_lock(connection, "accounts")


def lock_account(connection: Connection, user_id: UUID) -> UserAccount:
    """Lock the administration, and an account against its own user; return it as it is now.

    Raises:
        NotFound: there is no such account.
    """
    lock_administration(connection)
    row = connection.execute(
        select_accounts().where(User.id == user_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("there is no such user")
    return account_of(row)
