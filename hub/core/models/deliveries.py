"""Tables of the delivery ledger: deliveries, their attempts, and lanes."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base, Json


class DeliveryState(StrEnum):
    WAITING = "waiting"
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    RETRYING = "retrying"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


DUE_STATES = (DeliveryState.WAITING, DeliveryState.PENDING, DeliveryState.RETRYING)
_DUE = text("state IN ('waiting', 'pending', 'retrying')")
_NEEDS_YOU = text("state IN ('failed', 'unknown')")
_SET_BACK = text("state IN ('retrying', 'waiting', 'skipped')")
_SUCCEEDED = text("state = 'succeeded'")
_RUNNING = text("state = 'running'")
_HAS_REF = text("provider_ref IS NOT NULL")
_OPEN = text("state IN ('calling', 'unknown')")
_HAS_MESSAGE = text("message <> ''")


class AttemptState(StrEnum):
    CALLING = "calling"
    ACCEPTED = "accepted"
    # Certainly without effect, and a retry would fail again.
    REJECTED = "rejected"
    # Certainly without effect.
    NOT_PROCESSED = "not_processed"
    # The provider refused the account: not the delivery's fault.
    BLOCKED = "blocked"
    # May have been processed; the same key protects a repeat.
    IN_DOUBT = "in_doubt"
    # May have been processed, and no key protects a repeat.
    UNKNOWN = "unknown"


class Delivery(Base):
    """Delivery: one event through one route.

    `attempts` counts all attempt rows; `tries` counts those spent since the last start or restart,
    at `since`. `key_n` counts replays after a certain rejection: the key is `<id>` or
    `<id>.<key_n>`. `lane_token` is the fencing token of the claim that runs it. `status` is the
    status that the provider reported later (`delivered`, `bounced`); it never goes backwards.
    `unsure_since`: at this time or later the delivery may have been made already, by a hub whose
    records are lost.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "route"),
        Index("ix_deliveries_due", "destination", "next_attempt_at",
              postgresql_where=_DUE, sqlite_where=_DUE),
        Index("ix_deliveries_running", "destination",
              postgresql_where=_RUNNING, sqlite_where=_RUNNING),
        Index("ix_deliveries_provider_ref", "provider_ref",
              postgresql_where=_HAS_REF, sqlite_where=_HAS_REF),
        Index("ix_deliveries_needs_you", "state", "id",
              postgresql_where=_NEEDS_YOU, sqlite_where=_NEEDS_YOU),
        Index("ix_deliveries_set_back", "state", "id",
              postgresql_where=_SET_BACK, sqlite_where=_SET_BACK),
        Index("ix_deliveries_succeeded", "destination", "id",
              postgresql_where=_SUCCEEDED, sqlite_where=_SUCCEEDED),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    route: Mapped[str]
    destination: Mapped[str]
    action: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]
    since: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    key_n: Mapped[int] = mapped_column(default=0, server_default="0")
    lane_token: Mapped[int | None] = mapped_column(BigInteger)
    sandbox: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    error: Mapped[str | None]
    provider_ref: Mapped[str | None]
    status: Mapped[str | None]
    unsure_since: Mapped[datetime | None]


class Attempt(Base):
    """Attempt: one try of a delivery, committed before the call's first byte is sent.

    `parameters` are frozen: as long as the key is the same, the next attempt sends the same.
    `request` is the request that the sandbox recorded instead of sending. `closed_by` is what
    settled an unknown outcome: webhook, lookup, answer (a late one) or person. `seen_ref` is the id
    under which the provider reported the effect, perhaps before the call's end was recorded; empty
    if the provider named none. `evidence` holds the sentences for and against; `absences` counts
    the look-ups that found nothing, and `looked_at` is the time of the last look-up.

    A row may stand for a call that may have been made before the database was restored. Then
    `earliest_at` is the earliest time of that call, and `blind` is set if a look-up that finds
    nothing proves nothing, for example because the call would have had another key.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("delivery_id", "n"),
        Index("uq_attempts_open", "delivery_id", unique=True,
              postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_attempts_message", "id",
              postgresql_where=_HAS_MESSAGE, sqlite_where=_HAS_MESSAGE),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id"))
    n: Mapped[int]
    key: Mapped[str]
    state: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    sandbox: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    request: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    status: Mapped[int | None]
    code: Mapped[str | None]
    message: Mapped[str | None]
    provider_ref: Mapped[str | None]
    closed_by: Mapped[str | None]
    seen_ref: Mapped[str | None]
    evidence: Mapped[list[Any] | None] = mapped_column(Json)
    absences: Mapped[int] = mapped_column(default=0, server_default="0")
    looked_at: Mapped[datetime | None]
    earliest_at: Mapped[datetime | None]
    blind: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class Lane(Base):
    """Lane: a destination's row of lease, pause, block and circuit breaker; one for each shard.

    `shard` counts from 0. `token` is the fencing token: it grows with every holder of the lane and
    fences off earlier ones. `shards` is the number of shards by which the latest holder divides the
    destination's limits; `wanted_by` is a process that asks the holder for the lane. `failures`
    counts calls of the lane in a row without a good answer, for the circuit breaker.

    The destination's own state is in the row of shard 0: `paused` is set by a person;
    `blocked_until` is set by the hub (refused credentials, an open circuit), with `blocked_reason`.
    `setbacks` counts blocks in a row, for the backoff; in other rows, those that the holder knew.
    """

    __tablename__ = "lanes"

    destination: Mapped[str] = mapped_column(primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, default=0, server_default="0")
    shards: Mapped[int] = mapped_column(default=1, server_default="1")
    wanted_by: Mapped[str | None]
    token: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    holder: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    paused: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    blocked_until: Mapped[datetime | None]
    blocked_reason: Mapped[str | None]
    setbacks: Mapped[int] = mapped_column(default=0, server_default="0")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")


def is_among(states: Iterable[DeliveryState]) -> ColumnElement[bool]:
    """Return a state condition with literals, so that planners recognise the partial indexes."""
    return Delivery.state.in_([literal_column(f"'{state}'") for state in states])


IS_DUE = is_among(DUE_STATES)
IS_OPEN = Attempt.state.in_([literal_column(f"'{state}'") for state in ("calling", "unknown")])
IS_RUNNING = Delivery.state == literal_column(f"'{DeliveryState.RUNNING}'")
