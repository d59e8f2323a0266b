"""Reconciliation of unknown outcomes: evidence from elsewhere settles them, never a guess.

The provider's own webhook names the attempt (`hub_attempt`), or a look-up finds its effect. An
effect that happened twice begins an alert, whatever the cause.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select, tuple_, update
from sqlalchemy.orm import aliased

from adapters import LookupResult, LookupVerdict
from hub.core.delivery.evidence import append_evidence, confirm, delivery_subject, known_of, locked
from hub.core.delivery.transitions import LOOK_AGAIN_S, Resolution, on_not_found
from hub.core.hub import Hub
from hub.core.models import (
    IS_OPEN,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    database_now,
)
from hub.core.monitoring import alerts

ASKED_AT_ONCE = 100
# Seconds after the start of a call during which a look-up that finds nothing proves nothing.
SETTLE_S = 120.0


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """Attempt of unknown outcome that is due for a look-up.

    `since` is the time of the first call that may have had the effect: there may have been several
    calls under the same key.
    """

    delivery_id: UUID
    attempt_id: UUID
    n: int
    key: str
    destination: str
    action: str
    parameters: Mapping[str, Any]
    sent_at: datetime
    since: datetime


def record_lookup(
    connection: Connection,
    unknown: UnknownOutcome,
    lookup: LookupResult,
    *,
    keyed: bool,
    now: datetime,
    matched_by_content: bool = True,
) -> Resolution:
    """Record a look-up of an attempt; return the resolution that follows from it.

    `keyed`: the action's effect class is keyed. `matched_by_content`: the look-up recognises a
    call by its content, not by the hub's token. `now` is the time of the look-up.
    """
    if lookup.verdict is LookupVerdict.THERE and (
        (matched_by_content and _is_one_of_several(connection, unknown))
        or _is_anothers(connection, unknown, lookup.provider_ref)
    ):
        said = f"{lookup.message}; but that one was made by another call, or may have been"
        lookup = LookupResult(LookupVerdict.CANNOT_TELL, said)
    if lookup.verdict is LookupVerdict.THERE:
        return confirm(
            connection,
            unknown.attempt_id,
            seen_ref=lookup.provider_ref,
            by="lookup",
            said=lookup.message,
            now=now,
        )
    row = locked(connection, unknown.attempt_id)
    absent = lookup.verdict is LookupVerdict.NOT_THERE
    absences = row.absences + 1 if absent else 0
    since_last_s = (now - row.looked_at).total_seconds() if row.looked_at else None
    resolution = Resolution()
    if absent:
        resolution = on_not_found(known_of(connection, row), absences, since_last_s)
    connection.execute(
        update(Attempt)
        .where(Attempt.id == unknown.attempt_id)
        .values(
            absences=absences,
            looked_at=now,
            evidence=append_evidence(row.evidence, by="lookup", said=lookup.message, now=now),
            **({"state": resolution.attempt, "closed_by": "lookup"} if resolution.attempt else {}),
            **({"ended_at": database_now()} if resolution.attempt else {}),
        )
    )
    if resolution.delivery:
        connection.execute(
            update(Delivery)
            .where(Delivery.id == unknown.delivery_id, Delivery.state == DeliveryState.UNKNOWN)
            .values(
                state=resolution.delivery,
                error=None,
                next_attempt_at=database_now(),
                finished_at=None,
                # The provider may have forgotten the old key; its effect is known not to exist.
                **({"key_n": Delivery.key_n + 1} if keyed else {}),
            )
        )
        alerts.end(
            connection, alerts.UNKNOWN_OUTCOME, delivery_subject(unknown.delivery_id), now=now
        )
    return resolution


def due_for_lookup(
    connection: Connection,
    hub: Hub,
    *,
    most: int,
    now: datetime,
    destinations: Collection[str] | None = None,
) -> list[UnknownOutcome]:
    """Return up to `most` attempts of unknown outcome that are due for a look-up.

    They are at least `SETTLE_S` old and were not looked up within `LOOK_AGAIN_S`. `destinations`:
    only attempts at these.
    """
    pairs = _with_lookup(connection, hub, destinations)
    if not pairs:
        return []
    rows = connection.execute(
        _DOUBTS.where(*_is_due(pairs, now))
        .order_by(Attempt.looked_at.nulls_first(), Attempt.id)
        .limit(most)
    )
    return [UnknownOutcome(**row._mapping) for row in rows]


def with_due_lookups(connection: Connection, hub: Hub, *, now: datetime) -> set[str]:
    """Return the destinations that have attempts due for a look-up."""
    pairs = _with_lookup(connection, hub, None)
    if not pairs:
        return set()
    due = _DOUBTS.with_only_columns(Delivery.destination).distinct()
    return set(connection.execute(due.where(*_is_due(pairs, now))).scalars())


def _with_lookup(
    connection: Connection, hub: Hub, destinations: Collection[str] | None
) -> list[tuple[str, str]]:
    """Return the (destination, action) pairs with unknown outcomes that can be looked up."""
    return [
        (slug, action)
        for slug, action in _pairs(connection)
        if (destinations is None or slug in destinations) and hub.supports_lookup(slug, action)
    ]


def _is_due(pairs: Sequence[tuple[str, str]], now: datetime) -> Sequence[ColumnElement[bool]]:
    return (
        tuple_(Delivery.destination, Delivery.action).in_(pairs),
        ~Attempt.blind,
        Attempt.started_at <= now - timedelta(seconds=SETTLE_S),
        (Attempt.looked_at.is_(None))
        | (Attempt.looked_at <= now - timedelta(seconds=LOOK_AGAIN_S)),
    )


def close_confirmed(connection: Connection, *, now: datetime) -> int:
    """Settle unknown outcomes whose evidence came before the call's end was recorded.

    Return how many.
    """
    rows = connection.execute(
        select(Attempt.id, Attempt.seen_ref).where(
            Attempt.state == AttemptState.UNKNOWN, Attempt.seen_ref.is_not(None)
        )
    ).all()
    for row in rows:
        said = "the provider had told of it before the call's end was recorded"
        confirm(connection, row.id, seen_ref=row.seen_ref or None, by="webhook", said=said, now=now)
    return len(rows)


def alert_unsettled(connection: Connection, hub: Hub, *, now: datetime) -> int:
    """Begin an alert for each outcome that stayed unknown too long; return how many are new.

    At most `ASKED_AT_ONCE` begin at once; the next sweep continues. The alerts of deliveries whose
    outcome is no longer unknown end, however it was settled.
    """
    columns = (Attempt.delivery_id, Delivery.destination, Delivery.action, Attempt.started_at)
    rows = connection.execute(_DOUBTS.with_only_columns(*columns)).all()
    told = alerts.subjects(connection, alerts.UNKNOWN_OUTCOME)
    for subject in told - {delivery_subject(row.delivery_id) for row in rows}:
        alerts.end(connection, alerts.UNKNOWN_OUTCOME, subject, now=now)
    asked = 0
    for row in rows:
        subject = delivery_subject(row.delivery_id)
        patience = timedelta(seconds=hub.ask_after_s(row.destination, row.action))
        if subject in told or row.started_at > now - patience or asked >= ASKED_AT_ONCE:
            continue
        sentence = (
            f"nobody knows whether {row.destination}.{row.action} happened: "
            "`hub unknown` shows the evidence, `hub settle` answers"
        )
        asked += alerts.begin(connection, alerts.UNKNOWN_OUTCOME, subject, sentence, now=now)
    return asked


def _pairs(connection: Connection) -> list[tuple[str, str]]:
    """Return the (destination, action) pairs that have unknown outcomes."""
    columns = _DOUBTS.with_only_columns(Delivery.destination, Delivery.action)
    return [(row.destination, row.action) for row in connection.execute(columns.distinct())]


_calls = aliased(Attempt)
_DOUBTS = (
    select(
        Attempt.delivery_id,
        Attempt.id.label("attempt_id"),
        Attempt.n,
        Attempt.key,
        Delivery.destination,
        Delivery.action,
        Attempt.parameters,
        Attempt.started_at.label("sent_at"),
        select(func.min(func.coalesce(_calls.earliest_at, _calls.started_at)))
        .where(
            _calls.delivery_id == Attempt.delivery_id,
            _calls.key == Attempt.key,
            _calls.state.in_([AttemptState.UNKNOWN, AttemptState.IN_DOUBT]),
        )
        .scalar_subquery()
        .label("since"),
    )
    .join(Delivery, Delivery.id == Attempt.delivery_id)
    .where(Delivery.state == DeliveryState.UNKNOWN, Attempt.state == AttemptState.UNKNOWN)
)


def _is_one_of_several(connection: Connection, unknown: UnknownOutcome) -> bool:
    """Return whether another open call has the same parameters: the effect may be that call's.

    Check this before `_is_anothers`: a call that ends in between has its reference by then.
    """
    another = select(Attempt.id).where(
        IS_OPEN,
        Attempt.delivery_id != unknown.delivery_id,
        Attempt.parameters == unknown.parameters,
    )
    return connection.execute(another.limit(1)).first() is not None


def _is_anothers(connection: Connection, unknown: UnknownOutcome, ref: str | None) -> bool:
    """Return whether the reference that was found belongs to another delivery or attempt.

    A callback may have named an open attempt before its delivery has the reference.
    """
    if ref is None:
        return False
    deliveries = select(Delivery.id).where(
        Delivery.provider_ref == ref, Delivery.id != unknown.delivery_id
    )
    attempts = select(Attempt.id).where(
        Attempt.id != unknown.attempt_id,
        (Attempt.delivery_id == unknown.delivery_id) | IS_OPEN,
        (Attempt.provider_ref == ref) | (Attempt.seen_ref == ref),
    )
    return any(connection.execute(one.limit(1)).first() for one in (deliveries, attempts))
