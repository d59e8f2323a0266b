"""Tables of leads: assignments, notifications, acknowledgements, links, and rate counters.

No row here refers to its event by a foreign key: rows are written while other transactions lock
the event.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base

_OPEN = text("closed_at IS NULL")


class Assignment(Base):
    """Assignment of a lead to a person by an `assign` list, decided once. `n` numbers all of them.

    `name` stays readable when the person is no longer in hub.yaml; `rule` counts from 1.
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
    """Notification of a person about a lead by a route with `escalate`; the owner's `n` is 0.

    `due_at`: from then on the next person is notified, unless the lead is acknowledged; absent as
    long as the delivery has not ended. `ended` says how the escalation continued.
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
    """Acknowledgement of a lead; the first one counts. `how` is `link`, `reply` or `command`."""

    __tablename__ = "acknowledgements"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    person: Mapped[str | None]
    name: Mapped[str | None]
    how: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class LeadLink(Base):
    """Link by which one person can acknowledge one lead; only its token's SHA-256 is stored."""

    __tablename__ = "lead_links"
    __table_args__ = (Index("ix_lead_links_event_id", "event_id"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    person: Mapped[str]
    created_at: Mapped[datetime]


class LimitCount(Base):
    """Rate counter: the number of occurrences in one time slot.

    `key` is a digest of the counter's name and of the address, number or text that is counted: it
    contains none of them. After `ends_at` the slot is outside every window.
    """

    __tablename__ = "limit_counts"
    __table_args__ = (Index("ix_limit_counts_ends_at", "ends_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int]
    ends_at: Mapped[datetime]
