"""What the clock writes down for the dashboard: the hours that were, and that it goes."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


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
