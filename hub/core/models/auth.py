"""People who sign in: their accounts, where they are signed in, and what they prove it with."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class User(Base):
    """An account of the dashboard. `name` is lower-case and what a person signs in with.

    `totp_secret` is encrypted with a key made from `SECRET_KEY`; `totp_step` is the last time step
    that was used, so that a code is good once. Without a `password_hash` nobody can sign in yet.
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
    """One browser in which somebody is signed in; the cookie's token is kept as a digest alone.

    `proved_at` is when the person last gave a password here: dear actions ask for it again.
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
    """What signs somebody in, once, whose telephone is gone; kept as a digest alone."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]


class Ticket(Base):
    """A secret that is good once and for a while: a link, or the first half of a sign-in.

    `purpose` is one of `one_time_tokens.Purpose`; `user_id` is None for the link by which the first
    account is made. The secret is kept as a digest alone.
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
    """How often in a row somebody failed to sign in, and when the next try is heard.

    `key` digests an account's name, an address, or both: neither is in it.
    """

    __tablename__ = "sign_in_tries"
    __table_args__ = (Index("ix_sign_in_tries_last_at", "last_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    n: Mapped[int]
    last_at: Mapped[datetime]
    free_at: Mapped[datetime]
