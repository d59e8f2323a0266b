"""Replays of many deliveries at once: what was asked for, and what became of each of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base, Json

_GOING = text("state IN ('running', 'paused')")


class ReplayState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


class ItemState(StrEnum):
    WAITING = "waiting"
    QUEUED = "queued"  # its delivery was made due
    LEFT = "left"  # its delivery had moved on, and stays as it is


class Replay(Base):
    """One wish of one person: these deliveries once more, so many a minute.

    `token` is the form's: sent twice it starts one. `fingerprint` digests what is replayed, so
    that two people start one. `left_out` are the groups that were refused from the start, with
    how many and why; they have no items. Items are let go in the order of their ids: `reached` is
    the last one. `paid_until` is the instant up to which the rate is used up.
    """

    __tablename__ = "replays"
    __table_args__ = (
        Index("uq_replays_token", "token", unique=True),
        Index("uq_replays_going", "fingerprint", unique=True,
              postgresql_where=_GOING, sqlite_where=_GOING),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    token: Mapped[str]
    fingerprint: Mapped[str]
    state: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str | None]
    filter: Mapped[dict[str, Any]]
    again: Mapped[bool]
    per_minute: Mapped[int]
    total: Mapped[int]
    queued: Mapped[int] = mapped_column(default=0, server_default="0")
    moved_on: Mapped[int] = mapped_column(default=0, server_default="0")
    left_out: Mapped[list[Any]] = mapped_column(Json)
    reached: Mapped[UUID | None]
    paid_until: Mapped[datetime]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ReplayItem(Base):
    """One delivery of a replay: what was planned, and what was done about it.

    `error` is what was wrong with it before; `why` says why it was left as it is. The delivery may
    be gone one day: nothing here keeps it.
    """

    __tablename__ = "replay_items"

    replay_id: Mapped[UUID] = mapped_column(ForeignKey("replays.id"), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    plan: Mapped[str]
    state: Mapped[str]
    error: Mapped[str | None]
    why: Mapped[str | None]
    queued_at: Mapped[datetime | None]
