"""Filling gaps: what the provider's own list has and no webhook brought is taken in.

It comes through the same door and the same keys, so that what came before is left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from adapters import Event, InboundRequest, Listed
from hub.core.configuration import Source
from hub.core.errors import Refused
from hub.core.hub import Hub
from hub.core.ingest import Prepared, ingest, prepare
from hub.core.models import EventKey, SourceState, StoredEvent, insert_if_new

EVERY = timedelta(hours=1)
OVERLAP = timedelta(hours=1)
"""How far each look reaches behind the last one: lists, and webhooks, may be late."""
STILL_COMING = timedelta(minutes=5)
"""What happened so lately may be on its way; the clock leaves it to the next look."""

BACKFILL = "backfill"
"""Stands where the label of a secret stands: nobody signed it, we asked for it."""


@dataclass(slots=True)
class Gap:
    """What a look at a provider's list found: events that were there, and that were missing."""

    listed: int = 0
    known: int = 0
    new: int = 0
    unreadable: int = 0


def fill(
    hub: Hub,
    source: Source,
    listed: Iterable[Listed],
    *,
    now: datetime,
    until: datetime | None = None,
) -> Gap:
    """Take in what is missing; `until`: leave alone what happened later.

    Each record is a transaction of its own: what was taken in stays, whatever ends the list.
    """
    gap = Gap()
    for record in listed:
        gap.listed += 1
        request = InboundRequest(
            method="POST",
            url=f"{hub.public_url or ''}/webhooks/{source.slug}",
            headers={name.lower(): value for name, value in record.headers.items()},
            body=record.body,
            received_at=now,
        )
        prepared = prepare(
            source=source,
            adapter=hub.inbound(source.slug),
            router=hub.router,
            request=request,
            signed_by=BACKFILL,
        )
        if prepared.batch is None:
            gap.unreadable += 1
            continue
        if until and all(event.occurred_at > until for event in prepared.events):
            continue
        with hub.store.write() as connection:
            _fill_one(connection, source, prepared, gap)
    return gap


def _fill_one(connection: Connection, source: Source, prepared: Prepared, gap: Gap) -> None:
    missing = len(prepared.events) - _known(connection, source, prepared.events)
    if not missing:
        gap.known += len(prepared.events)
        return
    ingested = ingest(connection, prepared)
    gap.new += len(ingested.new_event_ids)
    gap.known += len(prepared.events) - len(ingested.new_event_ids)
    connection.execute(
        update(StoredEvent)
        .where(StoredEvent.id.in_(ingested.new_event_ids))
        .values(backfilled=True)
    )


def _known(connection: Connection, source: Source, events: Iterable[Event]) -> int:
    """Return how many of the events came before, under their own id or as the same fact."""
    events = list(events)
    facts = [event.fact_key for event in events if event.fact_key]
    rows = connection.execute(
        select(EventKey.external_id, EventKey.fact_key).where(
            EventKey.source == source.slug,
            or_(
                EventKey.external_id.in_([event.external_id for event in events]),
                EventKey.fact_key.in_(facts),
            ),
        )
    ).all()
    ids = {row.external_id for row in rows}
    known_facts = {row.fact_key for row in rows if row.fact_key}
    return sum(event.external_id in ids or event.fact_key in known_facts for event in events)


def why_not(hub: Hub, source: Source) -> str | None:
    """Return why a source's gaps cannot be filled; None when they can."""
    adapter = hub.inbound(source.slug)
    if not adapter.lists:
        return f"`{source.adapter}` keeps no list of what it sent"
    if adapter.account is None:
        return None if adapter.can_list else "its settings lack what listing needs"
    account = hub.configuration.destinations.get(source.account or "")
    if account is None:
        return f"it needs a destination with `adapter: {adapter.account}`; name it as `account`"
    if account.sandbox:
        return f"its account `{account.slug}` plays in the sandbox: give it its credentials"
    return None


def listing_source(hub: Hub, slug: str) -> Source:
    """Return a source whose gaps can be filled.

    Raises:
        Refused: there is no such source, or it cannot list; the sentence says what is missing.
    """
    source = hub.configuration.sources.get(slug)
    if source is None or not source.enabled:
        known = ", ".join(hub.configuration.sources) or "none"
        raise Refused(f"there is no source {slug}; hub.yaml has {known}")
    if reason := why_not(hub, source):
        raise Refused(f"{slug} cannot be backfilled: {reason}")
    return source


def turn(connection: Connection, source: str, *, now: datetime) -> datetime | None:
    """Return since when a source's list is to be looked through now; None when it need not be.

    Of several clocks one gets the turn. The first look ever finds nothing older than itself: what
    was before the hub is not its gap.
    """
    connection.execute(
        insert_if_new(connection, SourceState).values(source=source, listed_until=now)
    )
    row = connection.execute(
        select(SourceState.listed_until, SourceState.listing_at)
        .where(SourceState.source == source)
        .with_for_update()
    ).one()
    if row.listing_at is not None and row.listing_at > now - EVERY:
        return None
    since: datetime = row.listed_until or now
    connection.execute(
        update(SourceState)
        .where(SourceState.source == source)
        .values(listing_at=now, listed_until=since)
    )
    return since - OVERLAP


def filled(connection: Connection, source: str, *, until: datetime) -> None:
    """Note up to when a source's list has been compared with what came."""
    connection.execute(
        update(SourceState).where(SourceState.source == source).values(listed_until=until)
    )
