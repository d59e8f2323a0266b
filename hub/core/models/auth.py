"""Tables of authentication: users, sessions, recovery codes, tickets, and failed sign-ins."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class User(Base):
    """User account of the dashboard. `name` is the sign-in name, in lower case.

    `totp_secret` is encrypted with a key derived from `SECRET_KEY`; `totp_step` is the last time
    step that was used, so that a code is valid once. An account without a `password_hash` cannot
    sign in yet.
    """

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_name", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    sees_personal: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    password_hash: Mapped[str | None]
    totp_secret: Mapped[str | None]
    totp_step: Mapped[int | None]
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class Session(Base):
    """Session of a signed-in user in one browser; only a digest of the cookie's token is stored.

    `proved_at` is when the user last entered the password, and the code of a second factor, in this
    session: sensitive actions ask for them again.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index("uq_sessions_digest", "digest", unique=True),
        Index("ix_sessions_user_id", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    digest: Mapped[bytes]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    proved_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str | None]
    agent: Mapped[str | None]


class RecoveryCode(Base):
    """Recovery code: one sign-in for a user whose telephone is lost; only a digest is stored."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]


class Ticket(Base):
    """Ticket: a one-time token that expires, for a link or for the first half of a sign-in.

    `purpose` is one of `one_time_tokens.Purpose`; `user_id` is None for the link by which the first
    account is created. Only a digest of the token is stored.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        Index("ix_tickets_user_id", "user_id", "purpose"),
        Index("ix_tickets_ends_at", "ends_at"),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInTry(Base):
    """Throttle counter: failed sign-ins in a row, and when the next attempt is accepted.

    `key` is a digest of an account's name, an address, or both: it contains neither.
    """

    __tablename__ = "sign_in_tries"
    __table_args__ = (Index("ix_sign_in_tries_last_at", "last_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    n: Mapped[int]
    last_at: Mapped[datetime]
    free_at: Mapped[datetime]
