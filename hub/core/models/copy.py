"""Events that a person made of others: what was changed, and by whom."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base, Json


class EventCopy(Base):
    """One edited copy. `changes` are `[path, before, after]`, None where there was nothing."""

    __tablename__ = "event_copies"
    __table_args__ = (Index("ix_event_copies_original_id", "original_id", "event_id"),)

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    original_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    actor: Mapped[str]
    made_at: Mapped[datetime]
    changes: Mapped[list[Any]] = mapped_column(Json)
