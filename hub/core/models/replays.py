"""Tables of bulk replays: the request, and one item for each delivery."""

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
    # Its delivery was made due.
    QUEUED = "queued"
    # Its delivery had moved on, and stays as it is.
    LEFT = "left"


class Replay(Base):
    """Bulk replay: a person's request to run a selection of deliveries again, `per_minute`.

    `token` is the form's: a form that is sent twice starts one replay. `fingerprint` is a digest of
    the selection, so that two people start one replay. `left_out` are the groups that were refused
    from the start, with their number and reason; they have no items. Items are released in the
    order of their ids: `reached` is the last released one. `paid_until` is the instant up to which
    the rate is used up.
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
    """Item of a replay: one delivery, its plan, and the state of the item.

    `error` is the delivery's error before the replay; `why` says why it was left as it is. The
    delivery may be deleted later: no foreign key keeps it.
    """

    __tablename__ = "replay_items"

    replay_id: Mapped[UUID] = mapped_column(ForeignKey("replays.id"), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    plan: Mapped[str]
    state: Mapped[str]
    error: Mapped[str | None]
    why: Mapped[str | None]
    queued_at: Mapped[datetime | None]
