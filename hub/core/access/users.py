"""Accounts of the dashboard: added, changed, disabled; what is done to them is audited."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

from hub.core.access.roles import Role
from hub.core.audit import note
from hub.core.errors import Refused
from hub.core.ids import new_id
from hub.core.models import User


def add(
    connection: Connection,
    name: str,
    role: Role,
    *,
    password_hash: str | None,
    sees_personal: bool = False,
    actor: str,
    now: datetime,
) -> UUID:
    """Add an account; return its id.

    Raises:
        Refused: there is one of that name.
    """
    name = name.strip().lower()
    if connection.execute(select(User.id).where(User.name == name)).first():
        raise Refused(f"there is a user {name} already")
    user_id = new_id(now)
    connection.execute(
        insert(User).values(
            id=user_id,
            name=name,
            role=role,
            sees_personal=sees_personal,
            password_hash=password_hash,
            created_at=now,
        )
    )
    note(connection, actor=actor, action="user.add", subject=f"user {name}", now=now)
    return user_id
