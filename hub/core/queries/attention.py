"""What needs a person now: each trouble once, by its cause, the worst first."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from hub.core.models import (
    Alert,
    database_now,
)
from hub.core.monitoring import alerts
from hub.core.monitoring.heartbeats import CLOCK, last_beat
from hub.core.monitoring.source_health import MOST_COUNTED, SourceHealth, rate_words
from hub.core.queries import problems
from hub.core.queries.destinations import DestinationStatus
from hub.core.queries.problems import AttentionItem
from hub.core.queries.rows import Json, Page, json_of, page_of

MOST_ALERTS = 20
# Names of an alert's row in JSON.
ALERT = ("id", "kind", "subject", "message", "began_at", "ended_at")
CLOCK_LATE = timedelta(seconds=60)
CLOCKS_APART = timedelta(seconds=30)

# The kinds, the worst first: what stops everything, what loses things unseen, what failed.
ORDER = (
    "time", "clock", "worker", "blocked", "unverified", "silent", "failed", "unknown",
    "unreadable", "alert", "held", "paused",
)  # fmt: skip

_TOLD_APART = frozenset(
    {alerts.UNKNOWN_OUTCOME, alerts.SILENT_SOURCE, alerts.NOT_VERIFIED, alerts.BLOCKED}
)


def find_attention_items(
    connection: Connection,
    watched: SourceHealth,
    places: Sequence[DestinationStatus],
    *,
    now: datetime,
) -> list[AttentionItem]:
    """Return all that needs a person: `places` are the destinations, `watched` the sources."""
    found = [
        *_clocks(connection, now),
        *_stuck(places),
        *_held_back(places),
        *_sources(watched),
        *problems.failed_items(connection),
        *problems.unknown_items(connection),
        *problems.unreadable_items(connection),
        *_alerts(connection),
        *problems.held_items(connection),
    ]
    return sorted(found, key=lambda one: (ORDER.index(one.kind), -one.count, one.subject))


def _clocks(connection: Connection, now: datetime) -> Iterator[AttentionItem]:
    theirs = connection.execute(select(database_now())).scalar_one()
    if abs(theirs - now) > CLOCKS_APART:
        apart_s = int(abs(theirs - now).total_seconds())
        yield AttentionItem(
            "time",
            f"The clocks of this machine and of the database are {apart_s} seconds apart",
            hint="Set both by a time server (NTP): signatures are refused when a clock is wrong.",
        )
    beat = last_beat(connection, CLOCK)
    if beat is None or beat < theirs - CLOCK_LATE:
        yield AttentionItem(
            "clock",
            "The clock is not running: nothing is tried again, looked up or noticed by itself",
            since=beat,
            hint="Start the process `hub clock`; `hub up` starts all there are.",
        )


def _stuck(places: Sequence[DestinationStatus]) -> Iterator[AttentionItem]:
    late = [one for one in places if one.is_stuck]
    if not late or any(one.is_held for one in places):
        return  # somebody is at work, and gets to it
    oldest_s = max(one.oldest_s for one in late)
    yield AttentionItem(
        "worker",
        "Nobody does the work: deliveries are due, and no worker takes them",
        sum(one.counts.get("due", 0) for one in late),
        hint="Start the process `hub worker`; `hub up` starts all there are.",
        detail=f"the oldest has been due for {int(oldest_s // 60)} min",
    )


def _held_back(places: Sequence[DestinationStatus]) -> Iterator[AttentionItem]:
    for one in places:
        waiting = sum(one.counts.get(name, 0) for name in ("due", "scheduled"))
        if one.is_paused:
            yield AttentionItem(
                "paused",
                f"{one.slug} is {one.words}",
                waiting,
                one.since,
                "Nothing goes out to it until somebody lets it go on.",
                one.slug,
            )
        elif one.is_blocked and one.look == "bad":
            yield AttentionItem(
                "blocked",
                one.words,
                waiting,
                one.since,
                one.hint,
                one.slug,
                detail=one.reason,
                until=one.until,
            )


def _sources(watched: SourceHealth) -> Iterator[AttentionItem]:
    for gone in watched.unverified:
        yield AttentionItem(
            "unverified",
            f"Nothing from {gone.source} verifies any more"
            if gone.since
            else f"Nothing from {gone.source} has verified yet",
            gone.count,
            gone.since,
            "Requests are refused until its secret, or its address, is put right.",
            gone.source,
            detail=gone.reason,
            at_least=gone.count == MOST_COUNTED,
        )
    for quiet in watched.silent:
        yield AttentionItem(
            "silent",
            f"{quiet.source} has gone silent" if quiet.since else f"{quiet.source} is silent",
            since=quiet.since,
            hint=f"At least {rate_words(quiet.expected)} is expected"
            + (f", and {quiet.heard} came." if quiet.heard else ", and nothing came.")
            + " See whether the webhook is still switched on there.",
            subject=quiet.source,
        )


def list_alerts(
    connection: Connection, *, ended: bool, limit: int, before: UUID | None = None
) -> Page[Row[Any]]:
    """Return a page of alerts, newest first: the open ones alone, unless `ended`."""
    statement = select(*[getattr(Alert, name) for name in ALERT])
    if not ended:
        statement = statement.where(Alert.ended_at.is_(None))
    if before:
        statement = statement.where(Alert.id < before)
    statement = statement.order_by(Alert.id.desc()).limit(limit + 1)
    return page_of(connection.execute(statement).all(), limit)


def alert_json(row: Row[Any]) -> Json:
    """Return a row of `list_alerts` as JSON."""
    return json_of(row, ALERT)


def _alerts(connection: Connection) -> Iterator[AttentionItem]:
    rows = connection.execute(
        select(Alert.__table__)
        .where(Alert.ended_at.is_(None), Alert.kind.not_in(sorted(_TOLD_APART)))
        .order_by(Alert.id.desc())
        .limit(MOST_ALERTS)
    )
    for row in rows:
        yield AttentionItem(
            "alert",
            f"{row.kind[:1].upper()}{row.kind[1:]}",
            since=row.began_at,
            hint=row.message,
            subject=row.subject,
            id=str(row.id),
        )
