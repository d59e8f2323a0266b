"""How much was asked for lately."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class LimitCount(Base):
    """How often something happened in one slot of time.

    `key` digests what is counted and of whom: no address, number or text is in it. After `ends_at`
    the slot is in no window any more.
    """

    __tablename__ = "limit_counts"
    __table_args__ = (Index("ix_limit_counts_ends_at", "ends_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int]
    ends_at: Mapped[datetime]
