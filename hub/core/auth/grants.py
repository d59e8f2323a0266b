"""Grants: rights that one account gives to another. Nobody comes by a right that they lack.

The right to personal data is handed on by those who have it: not to one's own account, not to a new
one whose link its maker opens, and not with the reset of an account that has it. The command line
grants anything: who runs it has the database.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, update

from hub.core.auth.one_time_tokens import GOOD_FOR, Purpose
from hub.core.auth.roles import Role
from hub.core.errors import Refused
from hub.core.models import AuditEntry, Ticket, User

NOT_YOURS = (
    "you do not see personal data yourself, so you cannot give that right to an account: "
    "ask somebody who has it, or use `hub users change NAME --personal`"
)
NOT_TO_YOURSELF = (
    "nobody gives rights to their own account: ask another admin, or use `hub users change`"
)
NO_ADMIN = "your account was changed just now, and is no admin's any more"
# Audit entries of the links that an account made for others.
_LINKS = ("user.link", "user.reset")


@dataclass(frozen=True, slots=True)
class Rights:
    """Rights of an account: its role, and whether it sees personal data."""

    role: Role
    sees_personal: bool

    def exceed(self, others: "Rights") -> bool:
        """Return whether they contain a right that others do not."""
        ranks = list(Role)
        higher = ranks.index(self.role) > ranks.index(others.role)
        return higher or (self.sees_personal and not others.sees_personal)


def check_grant(
    connection: Connection,
    by: UUID | None,
    *,
    whose: UUID | None,
    was: Rights | None,
    wanted: Rights,
) -> None:
    """Ensure that an admin may change the rights of an account; `was` is None for a new one.

    `by` is the admin's id, None on the command line; `whose` is the account's, None for a new one.

    Raises:
        Refused: it is the admin's own account, or the admin lacks the right.
    """
    if by is None:
        return
    grantor = _rights_of(connection, by)
    if whose == by and was is not None and wanted.exceed(was):
        raise Refused(NOT_TO_YOURSELF)
    gains = wanted.sees_personal and not (was is not None and was.sees_personal)
    if gains and not grantor.sees_personal:
        raise Refused(NOT_YOURS)


def lost_by_reset(connection: Connection, by: UUID | None, rights: Rights) -> dict[str, bool]:
    """Return the values of an account's columns that change with the reset of its password.

    Whoever resets it has the link to its new password, and could take the account over: it loses
    the right to personal data if the admin with the id `by` lacks it.

    Raises:
        Refused: the admin is none any more.
    """
    if by is None or _rights_of(connection, by).sees_personal or not rights.sees_personal:
        return {}
    return {"sees_personal": False}


def keep_an_admin(connection: Connection, user_id: UUID, name: str) -> None:
    """Ensure that another admin who can sign in is left. Locks serialize concurrent removals.

    Nothing is asked of a user who is no admin, or is disabled.

    Raises:
        Refused: the user is the last admin.
    """
    rows = connection.execute(
        select(User.id, User.password_hash.is_not(None).label("can_sign_in"))
        .where(User.role == Role.ADMIN, User.disabled_at.is_(None))
        .order_by(User.id)
        .with_for_update()
    )
    admins = {row.id: row.can_sign_in for row in rows}
    if admins.pop(user_id, None) is not None and not any(admins.values()):
        raise Refused(f"{name} is the last admin: make somebody else one first")


def cancel_links_by(connection: Connection, actor: str, *, now: datetime) -> None:
    """Cancel the unused links that an actor made for others: the actor may have kept them."""
    since = now - GOOD_FOR[Purpose.PASSWORD]
    subjects = connection.execute(
        select(AuditEntry.subject)
        .where(AuditEntry.actor == actor, AuditEntry.action.in_(_LINKS), AuditEntry.at > since)
        .distinct()
    ).scalars()
    names: Collection[str] = [subject.removeprefix("user ") for subject in subjects]
    whose = select(User.id).where(User.name.in_(names))
    connection.execute(
        update(Ticket)
        .where(
            Ticket.purpose == Purpose.PASSWORD,
            Ticket.user_id.in_(whose),
            Ticket.used_at.is_(None),
        )
        .values(used_at=now)
    )


def _rights_of(connection: Connection, user_id: UUID) -> Rights:
    """Return the rights of an admin as they are now: the request may have begun before a change.

    Raises:
        Refused: it is no admin any more.
    """
    row = connection.execute(
        select(User.role, User.sees_personal).where(
            User.id == user_id, User.role == Role.ADMIN, User.disabled_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise Refused(NO_ADMIN)
    return Rights(Role(row.role), row.sees_personal)
