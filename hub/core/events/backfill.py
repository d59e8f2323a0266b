"""Backfill: ingests events that the provider's own list has and that no webhook brought.

They pass the same ingest and the same event keys as webhooks, so that known events are left alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.exc import DBAPIError

from adapters import InboundRequest, ListedRecord
from hub.core.advisory_locks import advisory_lock
from hub.core.configuration import Source
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.errors import Refused
from hub.core.events.ownership import addresses_heard, is_hubs_business
from hub.core.hub import Hub
from hub.core.inbound.ingest import PreparedRequest, ingest
from hub.core.models import EventKey, SourceState, StoredEvent, insert_if_new
from hub.core.monitoring import alerts

EVERY = timedelta(hours=1)
# Overlap of each backfill with the previous one: lists, and webhooks, may be late.
OVERLAP = timedelta(hours=1)
# How long a list may be unreadable before an alert begins.
UNREAD_FOR = timedelta(hours=3)
# The webhooks of such recent events may still arrive; the clock leaves them to its next backfill.
STILL_COMING = timedelta(minutes=5)
# How far back the clock's backfill reaches after an outage; an operator may ask for older events.
LONGEST = timedelta(days=7)

# Takes the place of a secret's label: no sender signed the record, the hub asked for it.
BACKFILL = "backfill"


@dataclass(slots=True)
class BackfillResult:
    """Counts of one backfill: records listed, events known and new, records unreadable."""

    listed: int = 0
    known: int = 0
    new: int = 0
    unreadable: int = 0


def fill_gap(
    hub: Hub,
    source: Source,
    listed: Iterable[ListedRecord],
    *,
    now: datetime,
    until: datetime | None = None,
) -> BackfillResult:
    """Ingest the missing events of a provider's list; return the counts.

    Only the clock gives `until`. With it, later events are left alone, and so are records that are
    not `sure`, and events that may not be the hub's business. Each record is a transaction of its
    own: ingested records stay, however the list ends.

    Raises:
        DBAPIError: the database is unavailable or busy.
    """
    gap = BackfillResult()
    with hub.store.read() as connection:
        heard = addresses_heard(connection, source.slug)
    for record in listed:
        gap.listed += 1
        prepared = _prepare(hub, source, record, now)
        if prepared.batch is None:
            gap.unreadable += 1
            continue
        if until and (
            not record.sure or all(event.occurred_at > until for event in prepared.events)
        ):
            continue
        try:
            with hub.store.write(bulk=True) as connection:
                new = _fill_one(connection, hub, source, prepared, heard if until else None)
        except DBAPIError as error:
            if classify(error) is not DatabaseErrorKind.REJECTED_ROW:
                raise
            gap.unreadable += 1
            continue
        gap.new += new
        gap.known += len(prepared.events) - new
    return gap


def _prepare(hub: Hub, source: Source, record: ListedRecord, now: datetime) -> PreparedRequest:
    request = InboundRequest(
        method="POST",
        url=f"{hub.public_url or ''}/webhooks/{source.slug}",
        headers={name.lower(): value for name, value in record.headers.items()},
        body=record.body,
        received_at=now,
    )
    prepared = hub.receiver.prepare_verified(request, source.slug, BACKFILL)
    for row in prepared.batch.events if prepared.batch else ():
        if row["fact_window_s"] is not None:
            row["fact_key"] = row["fact_window_s"] = None  # its id is the provider's own
    return prepared


def _fill_one(
    connection: Connection,
    hub: Hub,
    source: Source,
    prepared: PreparedRequest,
    heard: set[str] | None,
) -> int:
    """Ingest the missing events of one record; return how many.

    With `heard` a record is left alone unless all of its missing events pass `is_hubs_business`.
    """
    # Sources with the same account read the same list, so they take turns.
    if source.account is not None:
        advisory_lock(connection, "account", source.account)
    missing = _missing(connection, _sharing(hub, source), prepared)
    events = missing.events
    is_ours = heard is None or all(is_hubs_business(connection, one, heard) for one in events)
    if not events or not is_ours:
        return 0
    new = ingest(connection, missing).new_event_ids
    connection.execute(update(StoredEvent).where(StoredEvent.id.in_(new)).values(backfilled=True))
    return len(new)


def _sharing(hub: Hub, source: Source) -> list[str]:
    """Return the sources with the same account: an event of one of them is known to all."""
    if source.account is None:
        return [source.slug]
    sources = hub.configuration.sources.values()
    return [one.slug for one in sources if one.account == source.account]


def _missing(
    connection: Connection, sources: Sequence[str], prepared: PreparedRequest
) -> PreparedRequest:
    """Return the request without its known events: they do not count as duplicates here."""
    known = _known(connection, sources, prepared.batch.events if prepared.batch else ())
    events = [event for event in prepared.events if event.external_id not in known]
    if prepared.batch is None or len(events) == len(prepared.events):
        return prepared
    rows = [row for row in prepared.batch.events if row["external_id"] not in known]
    ids = {row["id"] for row in rows}
    deliveries = [row for row in prepared.batch.deliveries if row["event_id"] in ids]
    batch = replace(prepared.batch, events=rows, deliveries=deliveries)
    return replace(prepared, events=events, batch=batch)


def _known(
    connection: Connection, sources: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> set[str]:
    """Return the external ids of known events, by their external id or their fact key."""
    found = connection.execute(
        select(EventKey.external_id, EventKey.fact_key).where(
            EventKey.source.in_(sources),
            or_(
                EventKey.external_id.in_([row["external_id"] for row in rows]),
                EventKey.fact_key.in_([row["fact_key"] for row in rows if row["fact_key"]]),
            ),
        )
    ).all()
    ids, facts = ({key[place] for key in found} - {None} for place in (0, 1))
    return {
        row["external_id"] for row in rows if row["external_id"] in ids or row["fact_key"] in facts
    }


def reason_not_listed(hub: Hub, source: Source) -> str | None:
    """Return the reason why a source cannot be backfilled; None if it can."""
    adapter = hub.inbound(source.slug)
    if not adapter.lists:
        return f"`{source.adapter}` keeps no list of what it sent"
    if adapter.account is None:
        return None if adapter.can_list else "its settings lack what listing needs"
    account = hub.configuration.destinations.get(source.account or "")
    if account is None:
        return f"it needs a destination with `adapter: {adapter.account}`; name it as `account`"
    if not account.enabled:
        return f"its account `{account.slug}` is switched off"
    if account.sandbox:
        return f"its account `{account.slug}` plays in the sandbox: give it its credentials"
    return None


def listing_source(hub: Hub, slug: str) -> Source:
    """Return a source that can be backfilled.

    Raises:
        Refused: there is no such source, or it cannot list; the message says what is missing.
    """
    source = hub.configuration.sources.get(slug)
    if source is None or not source.enabled:
        known = ", ".join(hub.configuration.sources) or "none"
        raise Refused(f"there is no source {slug}; hub.yaml has {known}")
    if reason := reason_not_listed(hub, source):
        raise Refused(f"{slug} cannot be backfilled: {reason}")
    return source


def is_listing_due(connection: Connection, hub: Hub, *, now: datetime) -> bool:
    """Return whether the list of any source is due (see `next_span`)."""
    listed = {
        source.slug
        for source in hub.configuration.sources.values()
        if source.enabled and reason_not_listed(hub, source) is None
    }
    if not listed:
        return False
    recent = connection.execute(
        select(SourceState.source).where(
            SourceState.source.in_(listed),
            SourceState.listing_at > now - EVERY,
            SourceState.listing_at < now + EVERY,
        )
    )
    return bool(listed - set(recent.scalars()))


def next_span(connection: Connection, source: str, *, now: datetime) -> datetime | None:
    """Return the start of the time span to list now for a source; None if none is due.

    Of several clocks only one gets the span. No backfill reaches further back than the first one:
    events from before the hub are not missing. So the first one is recorded as done one overlap
    ahead.
    """
    connection.execute(insert_if_new(connection, SourceState).values(source=source))
    row = connection.execute(
        select(SourceState.listed_until, SourceState.listing_at)
        .where(SourceState.source == source)
        .with_for_update()
    ).one()
    if row.listing_at is not None and abs(now - row.listing_at) < EVERY:
        return None
    latest = now + OVERLAP
    until: datetime = min(row.listed_until or latest, latest)
    connection.execute(
        update(SourceState)
        .where(SourceState.source == source)
        .values(listing_at=now, listed_until=until)
    )
    return max(until - OVERLAP, now - LONGEST)


def note_filled(connection: Connection, source: str, *, until: datetime) -> None:
    """Record the time up to which a source's list was compared; it never moves backwards.

    The alert of an unreadable list ends.
    """
    connection.execute(
        update(SourceState)
        .where(SourceState.source == source, SourceState.listed_until < until)
        .values(listed_until=until)
    )
    alerts.end(connection, alerts.LIST_NOT_READABLE, f"source {source}", now=until)


def note_failure(connection: Connection, source: str, said: str, *, now: datetime) -> None:
    """Begin an alert if a source's list has been unreadable for longer than `UNREAD_FOR`."""
    until = connection.execute(
        select(SourceState.listed_until).where(SourceState.source == source)
    ).scalar_one_or_none()
    if until is None or until > now - UNREAD_FOR:
        return
    since = until.isoformat(timespec="minutes").replace("+00:00", "Z")
    sentence = (
        f"what its provider sent since {since} cannot be compared with what came: {said}. "
        f"Mend its account, or run `hub backfill {source} --since ...`"
    )
    alerts.begin(connection, alerts.LIST_NOT_READABLE, f"source {source}", sentence, now=now)
