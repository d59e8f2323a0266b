"""Attention items: current problems for a person, one per cause, the most severe first."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
# JSON names of an alert row.
ALERT = ("id", "kind", "subject", "message", "began_at", "ended_at")
# Age of the last heartbeat from which the clock process counts as not running.
CLOCK_LATE = timedelta(seconds=60)
# Difference between the time of this machine and of the database from which it is reported.
CLOCKS_APART = timedelta(seconds=30)

# Kinds in order of severity: first those that stop all work, then those that lose data unnoticed,
# then failures.
ORDER = (
    "disk", "time", "clock", "worker", "blocked", "unverified", "silent", "failed", "unknown",
    "unreadable", "alert", "held", "paused",
)  # fmt: skip

# Alert kinds whose causes have attention items of their own, and are not listed twice.
_TOLD_APART = frozenset(
    {
        alerts.UNKNOWN_OUTCOME, alerts.SILENT_SOURCE, alerts.NOT_VERIFIED, alerts.BLOCKED,
        alerts.DISK_FULL, alerts.DISK_LOW,
    }
)  # fmt: skip


def find_attention_items(
    connection: Connection,
    watched: SourceHealth,
    places: Sequence[DestinationStatus],
    *,
    now: datetime,
    disk: Mapping[str, Mapping[str, str]] | None = None,
) -> list[AttentionItem]:
    """Return all attention items; `places` are the destinations, `watched` the sources' health.

    `disk` are the alerts about disks that this process sees itself: a full one may have no room for
    the clock's.
    """
    stuck = list(_stuck(places))
    # That no worker runs at all says it for each destination.
    told_apart = _TOLD_APART | {alerts.NOT_SERVED} if stuck else _TOLD_APART
    found = [
        *_disks(connection, disk or {}),
        *_clocks(connection, now),
        *stuck,
        *_held_back(places),
        *_sources(watched),
        *problems.failed_items(connection),
        *problems.unknown_items(connection),
        *problems.unreadable_items(connection),
        *_alerts(connection, told_apart),
        *problems.held_items(connection),
    ]
    return sorted(found, key=lambda one: (ORDER.index(one.kind), -one.count, one.subject))


def _disks(
    connection: Connection, seen: Mapping[str, Mapping[str, str]]
) -> Iterator[AttentionItem]:
    """Yield an item for each disk without room, by its open alert or by what is seen now."""
    kinds = (alerts.DISK_FULL, alerts.DISK_LOW)
    rows = connection.execute(
        select(Alert.__table__).where(Alert.kind.in_(kinds), Alert.ended_at.is_(None))
    ).all()
    since = {(row.kind, row.subject): row.began_at for row in rows}
    now = {(kind, one): text for kind, texts in seen.items() for one, text in texts.items()}
    subjects = {subject for _, subject in now}
    told = {(r.kind, r.subject): r.message for r in rows if r.subject not in subjects} | now
    for (kind, subject), message in told.items():
        words = (
            "The disk is full: webhooks and forms are refused"
            if kind == alerts.DISK_FULL
            else "The disk is nearly full"
        )
        at = since.get((kind, subject))
        yield AttentionItem("disk", words, since=at, hint=f"{message}.", subject=subject)


def _clocks(connection: Connection, now: datetime) -> Iterator[AttentionItem]:
    """Yield an item if the machine's time is off, and one if the clock process does not run."""
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
    """Yield an item if deliveries are late and no worker holds the lease of any lane."""
    late = [one for one in places if one.is_stuck]
    if not late or any(one.is_held for one in places):
        # A lane is leased: a worker runs, and will come to the late deliveries.
        return
    oldest_s = max(one.oldest_s for one in late)
    yield AttentionItem(
        "worker",
        "Nobody does the work: deliveries are due, and no worker takes them",
        sum(one.counts.get("due", 0) for one in late),
        hint="Start the process `hub worker`; `hub up` starts all there are.",
        detail=f"the oldest has been due for {int(oldest_s // 60)} min",
    )


def _held_back(places: Sequence[DestinationStatus]) -> Iterator[AttentionItem]:
    """Yield an item for each destination that is paused, or blocked with setbacks."""
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
    """Return a page of alerts, newest first; `ended` includes those that have ended."""
    statement = select(*[getattr(Alert, name) for name in ALERT])
    if not ended:
        statement = statement.where(Alert.ended_at.is_(None))
    if before:
        statement = statement.where(Alert.id < before)
    statement = statement.order_by(Alert.id.desc()).limit(limit + 1)
    return page_of(connection.execute(statement).all(), limit)


def alert_json(row: Row[Any]) -> Json:
    """Return the JSON form of a row of `list_alerts`."""
    return json_of(row, ALERT)


def _alerts(connection: Connection, told_apart: Collection[str]) -> Iterator[AttentionItem]:
    """Yield an item for each of the newest open alerts, but of those kinds told apart."""
    rows = connection.execute(
        select(Alert.__table__)
        .where(Alert.ended_at.is_(None), Alert.kind.not_in(sorted(told_apart)))
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
