"""Roles and what they may: the one table that every request is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

PROOF_GOOD_FOR = timedelta(minutes=10)


class Permission(StrEnum):
    VIEW = "view"  # look at everything, personal data masked
    OPERATE = "operate"  # replay, settle, release, pause
    ADMINISTER = "administer"  # accounts of others, the audit log


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_MAY: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.OPERATOR: frozenset({Permission.VIEW, Permission.OPERATE}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is signed in, in which session. `sees_personal` is granted apart from the role.

    `proved_at` is when the password was last given in this session.
    """

    user_id: UUID
    session_id: UUID
    name: str
    role: Role
    sees_personal: bool
    proved_at: datetime | None = None
    has_second_factor: bool = False

    def may(self, permission: Permission) -> bool:
        """Return whether the role allows it."""
        return permission in _MAY[self.role]

    def has_proved(self, now: datetime) -> bool:
        """Return whether the password was given lately enough for what is dear."""
        return self.proved_at is not None and self.proved_at > now - PROOF_GOOD_FOR

    @property
    def actor(self) -> str:
        """The name under which the audit log knows this person."""
        return f"user:{self.name}"
