"""Health of sources: detects failures that cause no error by themselves.

These are a silent source, signatures that stopped verifying, a blocked destination, and a captcha
that accepts no visitor. The clock keeps an alert open for each as long as it lasts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, exists, func, literal_column, select

from hub.core.configuration import Configuration, Rate, Source
from hub.core.ids import first_id
from hub.core.models import (
    ConfigVersion,
    Lane,
    SourceState,
    StoredEvent,
    StoredRequest,
    database_now,
)
from hub.core.monitoring import alerts
from hub.core.monitoring.captcha_health import failing

# This many refused requests in a row are not explained by a stranger who probes the address.
STOPPED_AFTER = 3
MOST_COUNTED = 100

# Both conditions repeat that of the partial index, which SQLite needs in order to use the index.
IS_REJECTED = (StoredRequest.state != literal_column("'accepted'")) & (
    StoredRequest.state == literal_column("'rejected'")
)
IS_UNREADABLE = (StoredRequest.state != literal_column("'accepted'")) & (
    StoredRequest.state == literal_column("'unreadable'")
)


@dataclass(frozen=True, slots=True)
class SilentSource:
    """Source that receives less than the expected rate.

    `since` is the time of its last verified request, None if there was none. `heard` is the number
    of events received in the period of the rate.
    """

    source: str
    expected: Rate
    since: datetime | None
    heard: int = 0


@dataclass(frozen=True, slots=True)
class UnverifiedSource:
    """Source whose signatures do not verify any more.

    `since` is the time of its last verified request, None if there was none. `count` is the number
    of stored rejected requests since then, at most `MOST_COUNTED`; `reason` is the newest one's.
    """

    source: str
    since: datetime | None
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class BlockedDestination:
    """Destination that the hub has blocked itself, until `until`."""

    destination: str
    reason: str
    until: datetime | None
    setbacks: int


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """Health of all sources: the silent and the unverified ones."""

    silent: Sequence[SilentSource]
    unverified: Sequence[UnverifiedSource]


def watch_sources(
    connection: Connection, configuration: Configuration, *, now: datetime
) -> SourceHealth:
    """Return the silent sources and those whose signatures do not verify any more."""
    return SourceHealth(
        find_silent(connection, configuration, now=now), find_unverified(connection, configuration)
    )


def alert_silence(connection: Connection, configuration: Configuration, *, now: datetime) -> None:
    """Begin alerts for silent or unverified sources, blocked destinations and failing captchas.

    Alerts whose cause has ended are ended.
    """
    watched = watch_sources(connection, configuration, now=now)
    silent = {f"source {one.source}": _silent_words(one) for one in watched.silent}
    unverified = {
        f"source {one.source}": f"{one.count} requests since it last verified: {one.reason}"
        for one in watched.unverified
    }
    blocked = {
        f"destination {one.destination}": one.reason
        for one in find_blocked(connection, configuration)
        if one.setbacks
    }
    no_captcha = failing(connection, configuration)
    deaf = {f"source {slug}": why for slug, why in no_captcha.items()}
    found = {
        alerts.SILENT_SOURCE: silent,
        alerts.NOT_VERIFIED: unverified,
        alerts.BLOCKED: blocked,
        alerts.CAPTCHA_FAILS: deaf,
    }
    alerts.update_open(connection, found, now=now)


def find_silent(
    connection: Connection, configuration: Configuration, *, now: datetime
) -> list[SilentSource]:
    """Return the sources that receive less than their expected rate (`expect` in hub.yaml).

    A source without any verified request is silent once the configuration has been in force for
    the period of the rate.
    """
    expecting = [one for one in configuration.sources.values() if one.enabled and one.expect]
    if not expecting:
        return []
    heard = states(connection)
    in_force = connection.execute(
        select(ConfigVersion.first_seen_at).where(ConfigVersion.version == configuration.version)
    ).scalar_one_or_none()
    found = (_silent(connection, one, heard.get(one.slug), in_force, now) for one in expecting)
    return [one for one in found if one]


def find_unverified(connection: Connection, configuration: Configuration) -> list[UnverifiedSource]:
    """Return the sources with `STOPPED_AFTER` rejections or more since their last good request."""
    found = []
    for slug, state in states(connection).items():
        source = configuration.sources.get(slug)
        last_good, last_bad = state.last_verified_at, state.last_rejected_at
        if source is None or not source.enabled or not last_bad:
            continue
        if last_good and last_good >= last_bad:
            continue
        refused = _refused_since(connection, slug, last_good)
        if len(refused) >= STOPPED_AFTER:
            found.append(UnverifiedSource(slug, last_good, len(refused), refused[0].reason or ""))
    return found


def find_blocked(connection: Connection, configuration: Configuration) -> list[BlockedDestination]:
    """Return the destinations that are blocked, or were and have had no success since."""
    is_blocked = func.coalesce(Lane.blocked_until > database_now(), False)
    rows = connection.execute(
        select(Lane.destination, Lane.blocked_reason, Lane.blocked_until, Lane.setbacks)
        .where(Lane.shard == 0, Lane.blocked_reason.is_not(None), is_blocked | (Lane.setbacks > 0))
        .order_by(Lane.destination)
    )
    return [
        BlockedDestination(
            row.destination, row.blocked_reason or "", row.blocked_until, row.setbacks
        )
        for row in rows
        if row.destination in configuration.destinations
    ]


def states(connection: Connection) -> Mapping[str, Row[Any]]:
    """Return the state row of each source, by slug."""
    rows = connection.execute(select(SourceState.__table__).order_by(SourceState.source))
    return {row.source: row for row in rows}


def _silent(
    connection: Connection,
    source: Source,
    state: Row[Any] | None,
    in_force: datetime | None,
    now: datetime,
) -> SilentSource | None:
    expected = source.expect or Rate(1, 0)
    begin = now - timedelta(seconds=expected.per_s)
    last = state.last_verified_at if state else None
    if last is None:
        waited = in_force is not None and in_force <= begin
        return SilentSource(source.slug, expected, None) if waited else None
    if last < begin:
        return SilentSource(source.slug, expected, last)
    if expected.count == 1:
        return None
    count = _heard(connection, source.slug, first_id(begin), expected.count)
    if count >= expected.count or not _is_older(connection, source.slug, first_id(begin)):
        return None
    return SilentSource(source.slug, expected, last, count)


def _heard(connection: Connection, slug: str, since: UUID, most: int) -> int:
    """Count the events of a source with an id from `since` on; stop counting at `most`."""
    some = select(StoredEvent.id).where(StoredEvent.source == slug, StoredEvent.id >= since)
    counted = select(func.count()).select_from(some.limit(most).subquery())
    return int(connection.execute(counted).scalar_one())


def _is_older(connection: Connection, slug: str, before: UUID) -> bool:
    """Return whether a source has an event older than `before`: a new source is not yet silent."""
    older = exists().where(StoredEvent.source == slug, StoredEvent.id < before)
    return bool(connection.execute(select(older)).scalar_one())


def _refused_since(connection: Connection, slug: str, since: datetime | None) -> list[Row[Any]]:
    refused = select(StoredRequest.id, StoredRequest.reason).where(
        IS_REJECTED, StoredRequest.source == slug
    )
    if since:
        refused = refused.where(StoredRequest.id >= first_id(since))
    newest = refused.order_by(StoredRequest.id.desc()).limit(MOST_COUNTED)
    return list(connection.execute(newest))


def _silent_words(one: SilentSource) -> str:
    if one.since is None:
        return f"nothing has come yet; at least {rate_words(one.expected)} is expected"
    if one.heard:
        return f"only {one.heard} came; at least {rate_words(one.expected)} is expected"
    return f"nothing comes any more; at least {rate_words(one.expected)} is expected"


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def rate_words(rate: Rate) -> str:
    """Return a rate in words: `1 in an hour`, `100 in 10 seconds`."""
    size, unit = next((s, u) for s, u in _UNITS if rate.per_s % s == 0 or s == 1)
    count = int(rate.per_s // size)
    period = f"{'an' if unit == 'hour' else 'a'} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{rate.count} in {period}"
