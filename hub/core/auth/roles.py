"""Roles and their permissions: the single table that every request is checked against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

PROOF_GOOD_FOR = timedelta(minutes=10)


class Permission(StrEnum):
    # See all pages, with personal data masked.
    VIEW = "view"
    # Replay, settle, release, pause.
    OPERATE = "operate"
    # Manage the accounts of other users, read the audit log.
    ADMINISTER = "administer"


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
    """Principal: the signed-in user and the session. `sees_personal` is independent of the role.

    `proved_at` is the time at which this session last proved whose it is: by the password, and by a
    code where there is a second factor.
    """

    user_id: UUID
    session_id: UUID
    name: str
    role: Role
    sees_personal: bool
    proved_at: datetime | None = None
    has_second_factor: bool = False

    def may(self, permission: Permission) -> bool:
        """Return whether the role has a permission."""
        return permission in _MAY[self.role]

    def has_proved(self, now: datetime) -> bool:
        """Return whether the proof is recent enough for sensitive actions."""
        return self.proved_at is not None and self.proved_at > now - PROOF_GOOD_FOR

    @property
    def actor(self) -> str:
        """Return the actor under which the audit log records this user: `user:<name>`."""
        return f"user:{self.name}"
