"""Problems counted from the tables, by cause: failed, unknown, unreadable and held."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, select

from hub.core.explain.errors import explain_error
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    EventState,
    StoredEvent,
    StoredRequest,
)
from hub.core.monitoring.source_health import IS_UNREADABLE

# Maximum number of rows counted for one kind of problem; from there on the count is `at_least`.
MOST = 2000


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """Attention item: one problem. `words` state its cause, without a full stop; `hint` advises.

    `subject` is the source or destination, or the subject of an alert. `detail` is the exact text
    behind the plain `words`. `at_least`: there may be more than `count`.
    """

    kind: str
    words: str
    count: int = 0
    since: datetime | None = None
    hint: str = ""
    subject: str = ""
    action: str = ""
    detail: str = ""
    at_least: bool = False
    until: datetime | None = None
    id: str = ""


def failed_items(connection: Connection) -> Iterator[AttentionItem]:
    """Yield an item of failed deliveries for each destination, action and cause."""
    newest = (
        select(Delivery.destination, Delivery.action, Delivery.error, Delivery.finished_at)
        .where(Delivery.state == literal_column("'failed'"))
        .order_by(Delivery.id.desc())
        .limit(MOST)
        .subquery()
    )
    rows = connection.execute(
        select(
            newest.c.destination,
            newest.c.action,
            newest.c.error,
            func.count().label("total"),
            func.min(newest.c.finished_at).label("since"),
        ).group_by(newest.c.destination, newest.c.action, newest.c.error)
    ).all()
    at_least = sum(row.total for row in rows) >= MOST
    groups: dict[tuple[str, str, str], AttentionItem] = {}
    for row in rows:
        told = explain_error(row.error, status=None, code=None, destination=row.destination)
        key = (row.destination, row.action, told.words)
        before = groups.get(key) or AttentionItem(
            "failed",
            told.words,
            hint=told.hint,
            subject=row.destination,
            action=row.action,
            detail=row.error or "",
            at_least=at_least,
        )
        since = min((one for one in (before.since, row.since) if one), default=None)
        groups[key] = replace(before, count=before.count + row.total, since=since)
    yield from groups.values()


def unknown_items(connection: Connection) -> Iterator[AttentionItem]:
    """Yield an item of unknown outcomes for each destination and action."""
    doubts = (
        select(Delivery.id, Delivery.destination, Delivery.action)
        .where(Delivery.state == literal_column("'unknown'"))
        .order_by(Delivery.id.desc())
        .limit(MOST)
        .subquery()
    )
    sent = (Attempt.delivery_id == doubts.c.id) & (Attempt.state == AttemptState.UNKNOWN)
    rows = connection.execute(
        select(
            doubts.c.destination,
            doubts.c.action,
            func.count().label("total"),
            func.min(Attempt.started_at).label("since"),
        )
        .join(Attempt, sent, isouter=True)
        .group_by(doubts.c.destination, doubts.c.action)
    )
    for row in rows:
        yield AttentionItem(
            "unknown",
            f"Nobody knows whether {row.destination}.{row.action} happened: the answer was lost",
            row.total,
            row.since,
            "The hub looks for evidence. You can see it, and say what became of it.",
            row.destination,
            row.action,
            at_least=row.total >= MOST,
        )


def unreadable_items(connection: Connection) -> Iterator[AttentionItem]:
    """Yield an item for each source with requests that verified and could not be parsed."""
    newest = (
        select(StoredRequest.source, StoredRequest.received_at, StoredRequest.reason)
        .where(IS_UNREADABLE)
        .order_by(StoredRequest.id.desc())
        .limit(MOST)
        .subquery()
    )
    rows = connection.execute(
        select(
            newest.c.source,
            func.count().label("total"),
            func.min(newest.c.received_at).label("since"),
            func.min(newest.c.reason).label("reason"),
        ).group_by(newest.c.source)
    )
    for row in rows:
        yield AttentionItem(
            "unreadable",
            f"Requests from {row.source} came in that the hub cannot read",
            row.total,
            row.since,
            "They are kept. Read them again once the hub, or the source's settings, is mended.",
            row.source,
            detail=row.reason or "",
            at_least=row.total >= MOST,
        )


def held_items(connection: Connection) -> Iterator[AttentionItem]:
    """Yield one item for the held leads, which wait for a person to release or discard them."""
    newest = (
        select(StoredEvent.received_at)
        .where(StoredEvent.state == literal_column(f"'{EventState.HELD}'"))
        .order_by(StoredEvent.id.desc())
        .limit(MOST)
        .subquery()
    )
    row = connection.execute(
        select(func.count().label("total"), func.min(newest.c.received_at).label("since"))
    ).one()
    if row.total:
        yield AttentionItem(
            "held",
            "Leads that look like spam wait for your word",
            row.total,
            row.since,
            "Nothing was done about them. Let through those that are real.",
            at_least=row.total >= MOST,
        )
