"""Tables of operations: identity, source states, restorations, audit log, alerts, configuration.

The clock also writes hourly statistics and heartbeats here, for the dashboard.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class HubIdentity(Base):
    """Identity of the hub: the only row, created by the migration.

    `public_url` is the origin under which the hub last started, None if it had none; `noted_at` is
    when that was noted. `inherits_mark`: the watermark of a release without identities may be this
    database's, and has not been read yet. `encodes_from`: bodies that arrive then or later may be
    encoded, because no process of a release that cannot decode them is left; None for never.
    `audited_from`: what the audit log holds; older entries retention has deleted; None for all.
    `attempts_deleted_until`: the newest attempt that retention deleted while a watermark could name
    it.
    """

    __tablename__ = "hub_identity"
    __table_args__ = (CheckConstraint("id = 1", name="ck_hub_identity_only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hub_id: Mapped[UUID]
    public_url: Mapped[str | None]
    noted_at: Mapped[datetime | None]
    inherits_mark: Mapped[bool]
    encodes_from: Mapped[datetime | None]
    audited_from: Mapped[datetime | None]
    attempts_deleted_until: Mapped[UUID | None]
    created_at: Mapped[datetime]


class SourceState(Base):
    """Source state: counters of its requests, and their latest times. Written every few seconds.

    `listed_until` is the time up to which the provider's own list was compared with the events
    that arrived; `listing_at` is when a clock last began to do so.

    `budget_bytes` is what was stored on the day that began at `budget_day_at` (UTC) of requests
    that did not verify, held leads and duplicates; `over_budget` counts those of that day that were
    not stored, because it was too much (`hub.core.inbound.byte_budget`).
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
    budget_day_at: Mapped[datetime | None]
    budget_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    over_budget: Mapped[int] = mapped_column(default=0, server_default="0")


class UndeclaredField(Base):
    """Field that posts to a form had and the form does not declare: in how many, and when last.

    `name` is as the sender typed it, cut. A source has a limited number of rows.
    """

    __tablename__ = "undeclared_fields"

    source: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    posts: Mapped[int]
    last_seen_at: Mapped[datetime]


class Restoration(Base):
    """Restoration of the database from a backup: calls made after the backup may be missing.

    `since` is the time of the newest call in the backup, or the time of the backup that an
    operator gave; `mark_id` is the watermark's attempt whose absence revealed the restoration.
    """

    __tablename__ = "restorations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    noticed_at: Mapped[datetime]
    mark_id: Mapped[UUID | None] = mapped_column(unique=True)


class AuditEntry(Base):
    """Audit entry: actor, action, subject, time and reason.

    Triggers keep the table append-only; rows from before `HubIdentity.audited_from` can be deleted.
    """

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
    """Alert for a person: one open row per kind and subject, as long as the condition lasts."""

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
    """Configuration version: the routes, never the credentials, of a `hub.yaml` once in force.

    `last_seen_at`: it was in force then; None if only a process of an earlier release said so.
    """

    __tablename__ = "config_versions"

    version: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    routes: Mapped[dict[str, Any]]


class Hour(Base):
    """Hourly statistics: accepted events, and the states of their deliveries at `counted_at`.

    `p50_s` and `p95_s` are seconds from acceptance to success, None if there were none. Recent
    hours are counted again and again: a delivery may end long after its event arrived.
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
    """Heartbeat of a part of the hub: `at` is its last round, by the database's clock."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
