"""Status of sources: last requests, use of secrets, and rejected requests with advice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from adapters import Inbound
from adapters.registry import inbound
from hub.core.configuration import Configuration, Source
from hub.core.explain.rejections import Advice, advice_for
from hub.core.inbound.byte_budget import BudgetUse, use_of
from hub.core.models import RequestState, SourceState, StoredEvent, StoredRequest
from hub.core.monitoring.source_health import IS_REJECTED, IS_UNREADABLE, SourceHealth, states

# Number of rejected or unreadable requests of all sources that are scanned for those of one source.
LOOKED_THROUGH = 2000
# Number of a source's newest events whose secret is looked up, for the last use of each secret.
LATEST_EVENTS = 200
VERDICTS = ("accepted", "duplicates", "unreadable", "rejected")
FORM_SETUP = (
    "Let the form on your website post to the address above: method post, the address as action.",
    "Name its fields as `fields` of this source in hub.yaml does.",
    "Put the origin of the website (https://www.example.org) into `origins` of this source, and "
    "the page that people see afterwards into `redirect`. Restart the hub.",
    "Fill it in once yourself: it arrives here as lead.submitted.",
)
_PUBLIC_KEYS = "public_keys"
_FOR_SAMPLES = "sample_key"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Status of a source. `look` is good, wait, doubt, bad or quiet; `words` give the reason.

    `counts` are its requests by verdict, since the beginning.
    """

    source: Source
    look: str
    words: str
    counts: Mapping[str, int] = field(default_factory=dict)
    last_verified_at: datetime | None = None
    last_rejected_at: datetime | None = None

    @property
    def slug(self) -> str:
        return self.source.slug


@dataclass(frozen=True, slots=True)
class Secret:
    """Secret that a source accepts: its place in hub.yaml, never its value.

    `last_used_at` is the time of the newest event signed with it, among the `LATEST_EVENTS` newest
    events of the source.
    """

    label: str
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """Rejected or unreadable request, with the reason and advice. `is_kept`: its body is stored."""

    id: UUID
    received_at: datetime
    reason: str
    size_bytes: int
    is_kept: bool
    advice: Advice


def source_statuses(
    connection: Connection, configuration: Configuration, watched: SourceHealth
) -> list[SourceStatus]:
    """Return the status of every configured source, in the order of hub.yaml."""
    rows = states(connection)
    silent = {one.source for one in watched.silent}
    unverified = {one.source for one in watched.unverified}
    return [
        _status(one, rows.get(slug), is_silent=slug in silent, is_unverified=slug in unverified)
        for slug, one in configuration.sources.items()
    ]


def budget_of(connection: Connection, source: Source, *, now: datetime) -> BudgetUse:
    """Return what a source stores today of requests that did not verify and of held leads."""
    state = select(SourceState.__table__).where(SourceState.source == source.slug)
    return use_of(connection.execute(state).one_or_none(), now=now)


def last_event_at(connection: Connection) -> datetime | None:
    """Return the time at which the newest event arrived; None if there is none."""
    newest = select(StoredEvent.received_at).order_by(StoredEvent.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()


def setup_of(source: Source) -> Sequence[str]:
    """Return the steps by which a person sets up the webhook at the provider."""
    adapter = inbound(source.adapter)
    is_plain_form = adapter.takes_forms and adapter.setup is Inbound.setup
    return FORM_SETUP if is_plain_form else adapter.setup


def secrets_of(connection: Connection, source: Source) -> list[Secret]:
    """Return the secrets and keys that a source accepts, by label, never their values."""
    labels = list(_labels(source))
    if not labels:
        return []
    latest = (
        select(StoredEvent.request_id, StoredEvent.received_at)
        .where(StoredEvent.source == source.slug)
        .order_by(StoredEvent.id.desc())
        .limit(LATEST_EVENTS)
        .subquery()
    )
    rows = connection.execute(
        select(StoredRequest.signed_by, func.max(latest.c.received_at).label("used_at"))
        .join(latest, latest.c.request_id == StoredRequest.id)
        .group_by(StoredRequest.signed_by)
    )
    used = {row.signed_by: row.used_at for row in rows}
    return [Secret(label, used.get(label)) for label in labels]


def rejected_of(
    connection: Connection, source: Source, *, public_url: str | None, limit: int
) -> list[RejectedRequest]:
    """Return the newest requests of a source whose signature did not verify."""
    return _rejected(connection, source, IS_REJECTED, public_url, limit)


def unreadable_of(
    connection: Connection, source: Source, *, public_url: str | None, limit: int
) -> list[RejectedRequest]:
    """Return the newest requests of a source that verified and could not be parsed."""
    return _rejected(connection, source, IS_UNREADABLE, public_url, limit)


def kept_ids(
    connection: Connection, slug: str, state: RequestState, *, limit: int
) -> Sequence[UUID]:
    """Return the ids of a source's requests in a state that can be ingested again, oldest first."""
    is_odd = {RequestState.REJECTED: IS_REJECTED, RequestState.UNREADABLE: IS_UNREADABLE}[state]
    newest = (
        select(
            StoredRequest.id, StoredRequest.source, StoredRequest.body.is_not(None).label("kept")
        )
        .where(is_odd)
        .order_by(StoredRequest.id.desc())
        .limit(LOOKED_THROUGH)
        .subquery()
    )
    own = select(newest.c.id).where(newest.c.source == slug, newest.c.kept)
    return connection.execute(own.order_by(newest.c.id).limit(limit)).scalars().all()


def _status(
    source: Source, row: Row[Any] | None, *, is_silent: bool, is_unverified: bool
) -> SourceStatus:
    counts = {name: getattr(row, name) if row else 0 for name in VERDICTS}
    last = row.last_verified_at if row else None
    look, words = "good", "heard"
    if not source.enabled:
        look, words = "quiet", "switched off"
    elif is_unverified:
        look, words = "bad", "does not verify"
    elif is_silent:
        look, words = "bad", "silent"
    elif last is None:
        look, words = "wait", "waiting for its first webhook"
    return SourceStatus(source, look, words, counts, last, row.last_rejected_at if row else None)


def _labels(source: Source) -> Iterator[str]:
    """Yield the labels by which the adapter names the secrets and public keys of a source."""
    for key in (*inbound(source.adapter).secret_keys, _PUBLIC_KEYS):
        given = source.settings.get(key)
        if not given or key == _FOR_SAMPLES:
            continue
        if isinstance(given, Mapping):
            yield from (f"{key}.{name}" for name in given)
        elif isinstance(given, str):
            yield key
        else:
            yield from (f"{key}[{place}]" for place in range(len(given)))


def _rejected(
    connection: Connection, source: Source, is_odd: Any, public_url: str | None, limit: int
) -> list[RejectedRequest]:
    newest = (
        select(
            StoredRequest.id,
            StoredRequest.source,
            StoredRequest.received_at,
            StoredRequest.reason,
            StoredRequest.size_bytes,
            StoredRequest.url,
            StoredRequest.headers,
            StoredRequest.body.is_not(None).label("kept"),
        )
        .where(is_odd)
        .order_by(StoredRequest.id.desc())
        .limit(LOOKED_THROUGH)
        .subquery()
    )
    own = select(newest).where(newest.c.source == source.slug).order_by(newest.c.id.desc())
    return [
        RejectedRequest(
            row.id,
            row.received_at,
            row.reason or "",
            row.size_bytes,
            bool(row.kept),
            advice_for(row.reason or "", url=row.url, headers=row.headers, public_url=public_url),
        )
        for row in connection.execute(own.limit(limit))
    ]
