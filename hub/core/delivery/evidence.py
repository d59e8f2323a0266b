"""Evidence about an attempt from outside its own answer, and its effect on the delivery."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update

from hub.core.delivery.transitions import Known, Resolution, on_confirmed
from hub.core.models import Attempt, AttemptState, Delivery, DeliveryState, database_now
from hub.core.monitoring import alerts
from hub.core.text import bounded_text

MOST_EVIDENCE = 20


def confirm(
    connection: Connection,
    attempt_id: UUID,
    *,
    seen_ref: str | None,
    by: str,
    said: str,
    now: datetime,
) -> Resolution:
    """Record evidence that the provider processed an attempt; return the resolution.

    `seen_ref` is the provider's id of the effect, `by` the kind of evidence (`webhook`, `lookup`,
    `answer`), and `said` a sentence for a person.
    """
    seen_ref = bounded_text(seen_ref) if seen_ref else None
    row = locked(connection, attempt_id)
    resolution = on_confirmed(known_of(connection, row), seen_ref)
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(
            seen_ref=row.seen_ref or seen_ref or "",
            evidence=append_evidence(row.evidence, by=by, said=said, now=now),
            **({"state": resolution.attempt, "closed_by": by} if resolution.attempt else {}),
            **({"ended_at": database_now()} if resolution.attempt and row.ended_at is None else {}),
            **({"provider_ref": seen_ref} if resolution.attempt and seen_ref else {}),
        )
    )
    if resolution.delivery:
        _succeed(connection, row.delivery_id, seen_ref or row.delivery_ref, now)
    if resolution.double:
        _alert_of_double(connection, row.delivery_id, now)
    return resolution


def complete_confirmed(connection: Connection, attempt_id: UUID, *, now: datetime) -> None:
    """Mark a due delivery as succeeded, because this attempt of it is confirmed."""
    row = locked(connection, attempt_id)
    ref = row.provider_ref or row.seen_ref or None
    if row.state != AttemptState.ACCEPTED:
        connection.execute(
            update(Attempt)
            .where(Attempt.id == attempt_id)
            .values(state=AttemptState.ACCEPTED, closed_by="webhook", provider_ref=ref)
        )
    _succeed(connection, row.delivery_id, ref, now)


def alert_duplicates(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """Begin an alert for each delivery that has two accepted attempts under one key."""
    twice = (
        select(Attempt.delivery_id)
        .where(Attempt.delivery_id.in_(delivery_ids), Attempt.state == AttemptState.ACCEPTED)
        .group_by(Attempt.delivery_id, Attempt.key)
        .having(func.count() > 1)
        .distinct()
    )
    found = connection.execute(twice).scalars().all()
    if found:
        now = connection.execute(select(database_now())).scalar_one()
        for delivery_id in found:
            _alert_of_double(connection, delivery_id, now)


def _succeed(connection: Connection, delivery_id: UUID, ref: str | None, now: datetime) -> None:
    connection.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(
            state=DeliveryState.SUCCEEDED,
            provider_ref=ref,
            error=None,
            next_attempt_at=None,
            finished_at=database_now(),
        )
    )
    alerts.end(connection, alerts.UNKNOWN_OUTCOME, delivery_subject(delivery_id), now=now)


def _alert_of_double(connection: Connection, delivery_id: UUID, now: datetime) -> None:
    sentence = "the provider has it twice: look there, and tell whom it reached"
    alerts.begin(connection, alerts.DOUBLE_EFFECT, delivery_subject(delivery_id), sentence, now=now)


def locked(connection: Connection, attempt_id: UUID) -> Row[Any]:
    """Lock an attempt and then its delivery; return columns of both.

    The attempt is locked first, as in the recording of a call's end: evidence competes with that
    most often.
    """
    found = select(Attempt.delivery_id).where(Attempt.id == attempt_id).with_for_update()
    delivery_id = connection.execute(found).scalar_one()
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


def lock_attempts(connection: Connection, delivery_id: UUID) -> None:
    """Lock a delivery's attempt of unknown outcome, before the delivery: the order of `locked`."""
    connection.execute(
        select(Attempt.id)
        .where(Attempt.delivery_id == delivery_id, Attempt.state == AttemptState.UNKNOWN)
        .with_for_update()
    )


def known_of(connection: Connection, row: Row[Any]) -> Known:
    besides = connection.execute(
        select(Attempt.id)
        .where(
            Attempt.delivery_id == row.delivery_id,
            Attempt.id != row.id,
            Attempt.state == AttemptState.ACCEPTED,
        )
        .limit(1)
    ).first()
    return Known(
        DeliveryState(row.delivery_state),
        AttemptState(row.state),
        row.provider_ref or row.seen_ref,
        accepted_besides=besides is not None,
    )


def append_evidence(
    evidence: list[Any] | None, *, by: str, said: str, now: datetime
) -> list[dict[str, str]]:
    """Return the evidence with one more sentence.

    Beyond `MOST_EVIDENCE` sentences the oldest are dropped, except the very first.
    """
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    kept = [*(evidence or []), {"at": at, "by": by, "said": bounded_text(said)}]
    return kept if len(kept) <= MOST_EVIDENCE else [kept[0], *kept[-(MOST_EVIDENCE - 1) :]]


def delivery_subject(delivery_id: UUID) -> str:
    return f"delivery {delivery_id}"
