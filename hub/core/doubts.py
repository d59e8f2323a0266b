"""Outcomes that no answer told: what is seen elsewhere closes them, and never a guess.

The provider's own webhook names the attempt (`hub_attempt`), or a look-up finds what it made. What
happened twice is told as an alert, whoever is to blame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from adapters import Sight, Sighting
from hub.core import alerts
from hub.core.hub import Hub
from hub.core.ledger import LOOK_AGAIN_S, Standing, Turn, after_absence, after_acceptance
from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    database_now,
)

SETTLE_S = 120.0
"""How long after a call's start nothing may be concluded from not finding it."""
MOST_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt of unknown outcome that may be looked up now."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    key: str
    destination: str
    action: str
    parameters: Mapping[str, Any]
    sent_at: datetime


def accepted(
    connection: Connection,
    attempt_id: UUID,
    *,
    seen_ref: str | None,
    by: str,
    said: str,
    now: datetime,
) -> Turn:
    """Take in that the provider has what an attempt asked for; return what it changed."""
    row = _locked(connection, attempt_id)
    turn = after_acceptance(_standing(connection, row), seen_ref)
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(
            seen_ref=row.seen_ref or seen_ref,
            evidence=_with(row.evidence, by=by, said=said, now=now),
            **({"state": turn.attempt, "closed_by": by} if turn.attempt else {}),
            **({"ended_at": database_now()} if turn.attempt and row.ended_at is None else {}),
            **({"provider_ref": seen_ref} if turn.attempt and seen_ref else {}),
        )
    )
    if turn.delivery:
        connection.execute(
            update(Delivery)
            .where(Delivery.id == row.delivery_id)
            .values(
                state=turn.delivery,
                provider_ref=seen_ref or row.delivery_ref,
                error=None,
                next_attempt_at=None,
                finished_at=database_now(),
            )
        )
        alerts.end(connection, alerts.UNKNOWN_OUTCOME, _subject(row.delivery_id), now=now)
    if turn.double:
        sentence = "the provider has it twice: look there, and tell whom it reached"
        alerts.begin(connection, alerts.DOUBLE_EFFECT, _subject(row.delivery_id), sentence, now=now)
    return turn


def looked(
    connection: Connection, doubt: Doubt, sighting: Sighting, *, keyed: bool, now: datetime
) -> Turn:
    """Take in what a look-up saw of an attempt; return what it changed."""
    if sighting.sight is Sight.THERE and _is_anothers(connection, doubt, sighting.provider_ref):
        said = f"{sighting.message}; but that one was made by another delivery"
        sighting = Sighting(Sight.CANNOT_TELL, said)
    if sighting.sight is Sight.THERE:
        return accepted(
            connection,
            doubt.attempt_id,
            seen_ref=sighting.provider_ref,
            by="lookup",
            said=sighting.message,
            now=now,
        )
    row = _locked(connection, doubt.attempt_id)
    absent = sighting.sight is Sight.NOT_THERE
    absences = row.absences + 1 if absent else 0
    since_last_s = (now - row.looked_at).total_seconds() if row.looked_at else None
    turn = Turn()
    if absent:
        turn = after_absence(_standing(connection, row), absences, since_last_s)
    connection.execute(
        update(Attempt)
        .where(Attempt.id == doubt.attempt_id)
        .values(
            absences=absences,
            looked_at=now,
            evidence=_with(row.evidence, by="lookup", said=sighting.message, now=now),
            **({"state": turn.attempt, "closed_by": "lookup"} if turn.attempt else {}),
            **({"ended_at": database_now()} if turn.attempt else {}),
        )
    )
    if turn.delivery:
        connection.execute(
            update(Delivery)
            .where(Delivery.id == doubt.delivery_id, Delivery.state == DeliveryState.UNKNOWN)
            .values(
                state=turn.delivery,
                error=None,
                next_attempt_at=database_now(),
                # The old key may be forgotten by now; what it made is known not to be there.
                **({"key_n": Delivery.key_n + 1} if keyed else {}),
            )
        )
        alerts.end(connection, alerts.UNKNOWN_OUTCOME, _subject(doubt.delivery_id), now=now)
    return turn


def to_look_up(connection: Connection, hub: Hub, *, most: int, now: datetime) -> list[Doubt]:
    """Return the doubts whose settle time is over and that were not just looked up."""
    rows = connection.execute(
        _DOUBTS.where(
            Attempt.started_at <= now - timedelta(seconds=SETTLE_S),
            (Attempt.looked_at.is_(None))
            | (Attempt.looked_at <= now - timedelta(seconds=LOOK_AGAIN_S)),
        )
        .order_by(Attempt.looked_at.nulls_first(), Attempt.id)
        .limit(most)
    )
    return [
        doubt
        for row in rows
        if hub.looked_up((doubt := Doubt(**row._mapping)).destination, doubt.action)
    ]


def close_the_seen(connection: Connection, *, now: datetime) -> int:
    """Close doubts whose evidence came before our own record of the call; return how many."""
    rows = connection.execute(
        select(Attempt.id, Attempt.seen_ref).where(
            Attempt.state == AttemptState.UNKNOWN, Attempt.seen_ref.is_not(None)
        )
    ).all()
    for row in rows:
        said = "the provider had told of it before the call's end was recorded"
        accepted(connection, row.id, seen_ref=row.seen_ref, by="webhook", said=said, now=now)
    return len(rows)


def ask_people(connection: Connection, hub: Hub, *, now: datetime) -> int:
    """Begin an alert for every doubt that nothing settled in its time; return how many are new."""
    asked = 0
    for row in connection.execute(_DOUBTS).all():
        doubt = Doubt(**row._mapping)
        patience = timedelta(seconds=hub.patience_s(doubt.destination, doubt.action))
        if doubt.sent_at <= now - patience:
            sentence = (
                f"nobody knows whether {doubt.destination}.{doubt.action} happened: "
                "`hub unknown` shows the evidence, `hub settle` answers"
            )
            asked += alerts.begin(
                connection,
                alerts.UNKNOWN_OUTCOME,
                _subject(doubt.delivery_id),
                sentence,
                now=now,
            )
    return asked


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
    )
    .join(Delivery, Delivery.id == Attempt.delivery_id)
    .where(Delivery.state == DeliveryState.UNKNOWN, Attempt.state == AttemptState.UNKNOWN)
)


def _locked(connection: Connection, attempt_id: UUID) -> Row[Any]:
    """Return an attempt and its delivery, locked: the delivery first, as everybody does."""
    delivery_id = select(Attempt.delivery_id).where(Attempt.id == attempt_id).scalar_subquery()
    connection.execute(select(Delivery.id).where(Delivery.id == delivery_id).with_for_update())
    return connection.execute(
        select(
            Attempt.id,
            Attempt.delivery_id,
            Attempt.state,
            Attempt.provider_ref,
            Attempt.seen_ref,
            Attempt.evidence,
            Attempt.absences,
            Attempt.looked_at,
            Attempt.ended_at,
            Delivery.state.label("delivery_state"),
            Delivery.provider_ref.label("delivery_ref"),
        )
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(Attempt.id == attempt_id)
    ).one()


def _is_anothers(connection: Connection, doubt: Doubt, ref: str | None) -> bool:
    """Return whether what was found is known to come from another delivery."""
    other = select(Delivery.id).where(
        Delivery.provider_ref == ref, Delivery.id != doubt.delivery_id
    )
    return ref is not None and connection.execute(other.limit(1)).first() is not None


def _standing(connection: Connection, row: Row[Any]) -> Standing:
    besides = connection.execute(
        select(Attempt.id)
        .where(
            Attempt.delivery_id == row.delivery_id,
            Attempt.id != row.id,
            Attempt.state == AttemptState.ACCEPTED,
        )
        .limit(1)
    ).first()
    return Standing(
        DeliveryState(row.delivery_state),
        AttemptState(row.state),
        row.provider_ref or row.seen_ref,
        accepted_besides=besides is not None,
    )


def _with(evidence: list[Any] | None, *, by: str, said: str, now: datetime) -> list[dict[str, str]]:
    """Return the evidence with one more sentence; the oldest give way when there are many."""
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    kept = [*(evidence or []), {"at": at, "by": by, "said": said[:500]}]
    return kept if len(kept) <= MOST_EVIDENCE else [kept[0], *kept[-(MOST_EVIDENCE - 1) :]]


def _subject(delivery_id: UUID) -> str:
    return f"delivery {delivery_id}"
