"""Status of destinations: pauses and blocks of the lane, backlog, errors and latency."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, literal_column, select
from sqlalchemy.orm import aliased

from adapters.registry import outbound
from hub.core.configuration import Configuration, Destination
from hub.core.delivery.pauses import paused_by
from hub.core.explain.errors import Explanation, explain_error
from hub.core.models import (
    IS_DUE,
    Alert,
    Attempt,
    Delivery,
    Lane,
    database_now,
)
from hub.core.monitoring import alerts
from hub.core.monitoring.metrics import Backlog, unfinished_statement
from hub.core.queries.hourly_stats import percentile

MEASURED = 100
MOST = 2000
LATE_S = 60.0

_IS_SUCCEEDED = Delivery.state == literal_column("'succeeded'")
_IS_FAILED = Delivery.state == literal_column("'failed'")
_IS_UNKNOWN = Delivery.state == literal_column("'unknown'")
_PREFIXES = ("refused us: ", "does not answer: ", "asked to wait: ")


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """Status of a destination. `look` is good, wait, doubt, bad or quiet; `words` give the reason.

    `counts` has the number of deliveries that are `due`, `scheduled` or `running`; `oldest_s` is
    the time in seconds for which the oldest has been due. `reason` is the exact reason of a block,
    `hint` the advice on it. `since` is the time at which the block or a pause began, if known;
    `until` is the time of the next try. `is_held`: a worker holds a lane of it.
    """

    destination: Destination
    look: str
    words: str
    counts: Mapping[str, int] = field(default_factory=dict)
    oldest_s: float = 0.0
    is_paused: bool = False
    is_blocked: bool = False
    reason: str = ""
    hint: str = ""
    since: datetime | None = None
    until: datetime | None = None
    is_held: bool = False

    @property
    def slug(self) -> str:
        return self.destination.slug

    @property
    def is_stuck(self) -> bool:
        """Return whether deliveries are late, though the lane is not paused, blocked or leased."""
        held_back = self.is_paused or self.is_blocked or self.is_held
        return self.oldest_s > LATE_S and not held_back and self.destination.enabled

    @property
    def missing(self) -> list[str]:
        """Return the missing credentials, each as the alternative keys that would provide it."""
        adapter = outbound(self.destination.adapter)
        return [" or ".join(either) for either in adapter.missing(self.destination.settings)]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of the newest successful calls: percentiles in seconds, None without any call."""

    p50_s: float | None
    p95_s: float | None
    calls: int


def destination_statuses(
    connection: Connection, configuration: Configuration
) -> list[DestinationStatus]:
    """Return the status of every configured destination, in the order of hub.yaml."""
    lanes = _lanes(connection)
    backlogs = _backlogs(connection)
    began = _began(connection)
    return [
        _status(connection, one, lanes.get(one.slug), backlogs.get(one.slug, ()), began)
        for one in configuration.destinations.values()
    ]


def ended_badly(connection: Connection) -> dict[str, Counter[str]]:
    """Return the number of failed and unknown deliveries, by destination and state.

    Only the newest `MOST` deliveries of each state are counted.
    """
    found: dict[str, Counter[str]] = {}
    for state, is_in_it in (("failed", _IS_FAILED), ("unknown", _IS_UNKNOWN)):
        newest = select(Delivery.destination).where(is_in_it).order_by(Delivery.id.desc())
        some = newest.limit(MOST).subquery()
        counted = select(some.c.destination, func.count().label("total"))
        for row in connection.execute(counted.group_by(some.c.destination)):
            found.setdefault(row.destination, Counter())[state] = row.total
    return found


def latency(connection: Connection, destination: str) -> Latency:
    """Return the latency of the newest `MEASURED` succeeded deliveries, by their last attempt."""
    newest = (
        select(Delivery.id, Delivery.attempts)
        .where(_IS_SUCCEEDED, Delivery.destination == destination)
        .order_by(Delivery.id.desc())
        .limit(MEASURED)
        .subquery()
    )
    rows = connection.execute(
        select(Attempt.started_at, Attempt.ended_at).join(
            newest, (Attempt.delivery_id == newest.c.id) & (Attempt.n == newest.c.attempts)
        )
    )
    taken_s = [(end - begin).total_seconds() for begin, end in rows if end]
    return Latency(percentile(taken_s, 0.5), percentile(taken_s, 0.95), len(taken_s))


def last_error(connection: Connection, destination: str) -> str | None:
    """Return the error of a delivery that waits for a destination, else that of a failed one.

    Failed deliveries are searched among the newest 1000 of all destinations.
    """
    waiting = select(Delivery.error).where(
        IS_DUE, Delivery.destination == destination, Delivery.error.is_not(None)
    )
    newest = select(Delivery.destination, Delivery.error).where(_IS_FAILED)
    failed = newest.order_by(Delivery.id.desc()).limit(1000).subquery()
    found = connection.execute(waiting.limit(1)).scalar()
    if found is None:
        of_it = select(failed.c.error).where(failed.c.destination == destination).limit(1)
        found = connection.execute(of_it).scalar()
    return found


def reason_of(reason: str, destination: str, *, quoting: bool = True) -> Explanation:
    """Return the explanation of a block reason, without the prefix that the hub put before it.

    Without `quoting` it contains nothing of what the far end said.
    """
    for prefix in _PREFIXES:
        reason = reason.removeprefix(prefix)
    return explain_error(reason, status=None, code=None, destination=destination, quoting=quoting)


def _status(
    connection: Connection,
    one: Destination,
    lane: Row[Any] | None,
    backlog: Sequence[Backlog],
    began: Mapping[str, datetime],
) -> DestinationStatus:
    counts = {part.state: part.count for part in backlog}
    oldest_s = max((part.oldest_s for part in backlog), default=0.0)
    plain: dict[str, Any] = {"counts": counts, "oldest_s": oldest_s}
    if lane is not None:
        plain["is_held"] = bool(lane.held)
    if not one.enabled:
        return DestinationStatus(one, "quiet", "switched off", **plain)
    if lane is not None and lane.paused:
        who, since = paused_by(connection, one.slug) or ("", None)
        words = f"paused by {who.removeprefix('user:')}" if who else "paused"
        return DestinationStatus(one, "doubt", words, **plain, is_paused=True, since=since)
    if lane is not None and lane.blocked_reason and (lane.setbacks or lane.blocked):
        found = reason_of(lane.blocked_reason, one.slug)
        return DestinationStatus(
            one,
            "bad" if lane.setbacks else "wait",
            found.words if lane.setbacks else "asked the hub to wait",
            **plain,
            is_blocked=True,
            reason=lane.blocked_reason,
            hint=found.hint,
            since=began.get(f"destination {one.slug}"),
            until=lane.blocked_until,
        )
    if one.sandbox:
        return DestinationStatus(one, "quiet", "plays in the sandbox", **plain)
    if oldest_s > LATE_S:
        return DestinationStatus(one, "wait", "behind with its work", **plain)
    return DestinationStatus(one, "good", "working", **plain)


def _lanes(connection: Connection) -> dict[str, Row[Any]]:
    shard = aliased(Lane)
    is_held = (shard.destination == Lane.destination) & (shard.lease_until > database_now())
    rows = connection.execute(
        select(
            Lane.destination,
            Lane.paused,
            Lane.blocked_reason,
            Lane.blocked_until,
            Lane.setbacks,
            func.coalesce(Lane.blocked_until > database_now(), False).label("blocked"),
            exists().where(is_held).label("held"),
        ).where(Lane.shard == 0)
    )
    every: Sequence[Any] = rows.all()
    return {row.destination: row for row in every}


def _backlogs(connection: Connection) -> dict[str, list[Backlog]]:
    found: dict[str, list[Backlog]] = {}
    for row in connection.execute(unfinished_statement()):
        age_s = (row.now - row.oldest_at).total_seconds() if row.standing == "due" else 0.0
        part = Backlog(row.destination, row.standing, row.total, max(0.0, age_s))
        found.setdefault(row.destination, []).append(part)
    return found


def _began(connection: Connection) -> dict[str, datetime]:
    rows = connection.execute(
        select(Alert.subject, Alert.began_at).where(
            Alert.kind == alerts.BLOCKED, Alert.ended_at.is_(None)
        )
    )
    return {row.subject: row.began_at for row in rows}
