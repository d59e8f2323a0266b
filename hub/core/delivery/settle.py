"""Settlement of an unknown outcome by a person, with a reason and an audit entry."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from hub.core.audit import record_action
from hub.core.delivery.evidence import alert_duplicates, lock_attempts
from hub.core.errors import NotFound, Refused
from hub.core.models import Attempt, AttemptState, Delivery, DeliveryState, database_now
from hub.core.monitoring import alerts


class SettleAnswer(StrEnum):
    ARRIVED = "arrived"
    AGAIN = "again"
    DROP = "drop"


_ATTEMPT_STATES = {
    SettleAnswer.ARRIVED: AttemptState.ACCEPTED,
    SettleAnswer.AGAIN: AttemptState.NOT_PROCESSED,
    # Dropping does not claim that the call was not processed.
    SettleAnswer.DROP: AttemptState.IN_DOUBT,
}


def settle(
    connection: Connection,
    delivery_id: UUID,
    answer: SettleAnswer,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> DeliveryState:
    """Settle an unknown outcome by a person's answer; return the delivery's new state.

    `AGAIN` sends the same parameters once more, as a new attempt.

    Raises:
        NotFound: there is no such delivery.
        Refused: its outcome is not unknown, or no reason is given.
    """
    if not reason.strip():
        raise Refused("say why: --reason '...'")
    lock_attempts(connection, delivery_id)
    state = connection.execute(
        select(Delivery.state).where(Delivery.id == delivery_id).with_for_update()
    ).scalar_one_or_none()
    if state is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    if state != DeliveryState.UNKNOWN:
        raise Refused(f"its outcome is not unknown: it is {state}")
    values = _values(answer, reason)
    connection.execute(
        update(Attempt)
        .where(Attempt.delivery_id == delivery_id, Attempt.state == AttemptState.UNKNOWN)
        .values(state=_ATTEMPT_STATES[answer], ended_at=database_now(), closed_by="person")
    )
    connection.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))
    if answer is SettleAnswer.ARRIVED:
        alert_duplicates(connection, [delivery_id])
    alerts.end(connection, alerts.UNKNOWN_OUTCOME, f"delivery {delivery_id}", now=now)
    record_action(
        connection,
        actor=actor,
        action=f"settle.{answer}",
        subject=f"delivery {delivery_id}",
        now=now,
        reason=reason,
    )
    return DeliveryState(values["state"])


def _values(answer: SettleAnswer, reason: str) -> dict[str, Any]:
    if answer is SettleAnswer.ARRIVED:
        return {"state": DeliveryState.SUCCEEDED, "error": None, "finished_at": database_now()}
    if answer is SettleAnswer.DROP:
        return {
            "state": DeliveryState.FAILED,
            "error": f"dropped: {reason}",
            "finished_at": database_now(),
        }
    return {
        "state": DeliveryState.RETRYING,
        "error": None,
        "finished_at": None,
        "next_attempt_at": database_now(),
        "tries": 0,
        "since": database_now(),
    }
