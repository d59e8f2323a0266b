"""What the hub keeps about itself: how its sources are, what it was told to do, by which file.

What the clock writes down for the dashboard: the hours that were, and that it goes.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class SourceState(Base):
    """When a source was last heard, and how often it was refused. Written every few seconds.

    `listed_until`: up to when the provider's own list was compared with what came; `listing_at`:
    when somebody last began to.
    """

    __tablename__ = "source_states"

    source: Mapped[str] = mapped_column(primary_key=True)
    accepted: Mapped[int] = mapped_column(default=0, server_default="0")
    duplicates: Mapped[int] = mapped_column(default=0, server_default="0")
    unreadable: Mapped[int] = mapped_column(default=0, server_default="0")
    rejected: Mapped[int] = mapped_column(default=0, server_default="0")
    last_verified_at: Mapped[datetime | None]
    last_rejected_at: Mapped[datetime | None]
    last_rejected_reason: Mapped[str | None]
    listed_until: Mapped[datetime | None]
    listing_at: Mapped[datetime | None]


class Restoration(Base):
    """The database was restored from a backup: what the hub did in between may be missing.

    `since`: the newest call that the backup has, or when somebody said that it was taken;
    `mark_id`: the attempt whose absence gave it away.
    """

    __tablename__ = "restorations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    noticed_at: Mapped[datetime]
    mark_id: Mapped[UUID | None] = mapped_column(unique=True)


class AuditEntry(Base):
    """Who did what to what, when and why. Rows are only ever added: triggers see to it."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_actor", "actor", "id"),
        Index("ix_audit_log_action", "action", "id"),
        Index("ix_audit_log_subject", "subject", "id"),
        Index("ix_audit_log_views", "actor", "subject", "at",
              postgresql_where=text("action = 'view.personal'"),
              sqlite_where=text("action = 'view.personal'")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[dict[str, Any] | None]


class Alert(Base):
    """Something that a person must know of: one row for a subject as long as it lasts."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "kind", "subject", unique=True,
              postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    message: Mapped[str]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ConfigVersion(Base):
    """A version of `hub.yaml` that was in force; its routes, never its credentials."""

    __tablename__ = "config_versions"

    version: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    routes: Mapped[dict[str, Any]]


class Hour(Base):
    """What came in within one hour, and what had become of its deliveries when they were counted.

    `p50_s` and `p95_s` are from accepted to done, None where nothing was. Later hours are counted
    again and again: a delivery may end long after its event came.
    """

    __tablename__ = "hours"

    start_at: Mapped[datetime] = mapped_column(primary_key=True)
    accepted: Mapped[int]
    succeeded: Mapped[int]
    failed: Mapped[int]
    p50_s: Mapped[float | None]
    p95_s: Mapped[float | None]
    counted_at: Mapped[datetime]


class Heartbeat(Base):
    """When a part of the hub last went round. `at` is the database's time."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
