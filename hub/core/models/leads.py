"""Who looks after a lead: whom it was given to, who was told of it, and who took it.

No row here refers to its event by a foreign key: they are written while others hold the event.

How much was asked for lately.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base

_OPEN = text("closed_at IS NULL")


class Assignment(Base):
    """Whom an `assign` list gave a lead to, decided once. `n` counts all decisions.

    `name` stays readable when the person is gone from the file; `rule` counts from 1.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("n"),
        Index("ix_assignments_person", "person", "assign", "n"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    assign: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str]
    name: Mapped[str]
    rule: Mapped[int]
    why: Mapped[str]
    n: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[datetime]


class LeadNotification(Base):
    """A person who is told of a lead by a route with `escalate`: the `n`th, the owner being 0.

    `due_at`: from then on the next one is told, unless somebody took the lead; absent as long as
    the delivery has no end. `ended` says how it went on.
    """

    __tablename__ = "tellings"
    __table_args__ = (
        UniqueConstraint("event_id", "route", "n"),
        UniqueConstraint("delivery_id"),
        Index("ix_tellings_person", "person", "created_at"),
        Index("ix_tellings_open", "due_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    route: Mapped[str]
    n: Mapped[int]
    assign: Mapped[str]
    person: Mapped[str]
    delivery_id: Mapped[UUID]
    after_s: Mapped[float]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    ended: Mapped[str | None]


class Acknowledgement(Base):
    """Who took a lead, the first one to say so. `how` is `link`, `reply` or `command`."""

    __tablename__ = "acknowledgements"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    person: Mapped[str | None]
    name: Mapped[str | None]
    how: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class LeadLink(Base):
    """An address by which one person can take one lead; of its token only the SHA-256 is kept."""

    __tablename__ = "lead_links"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    person: Mapped[str]
    created_at: Mapped[datetime]


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
