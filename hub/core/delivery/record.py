"""Recording of call outcomes, in groups, and of calls whose worker died.

Every write carries a fencing token: a holder that has lost its lane changes nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from adapters import Outcome, Verdict
from hub.core.delivery.evidence import alert_duplicates, confirm
from hub.core.delivery.lane_rows import Lease
from hub.core.delivery.ledger_statements import AGAIN, CLOSE_ATTEMPTS, END
from hub.core.delivery.poison import WAS_POISON_SUSPECT
from hub.core.delivery.transitions import (
    WORKER_DIED,
    Budget,
    RetryPolicy,
    Transition,
    on_worker_death,
)
from hub.core.models import (
    IS_RUNNING,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    database_later,
    database_now,
)
from hub.core.pipeline import pipeline_of
from hub.core.text import bounded_text_or_none


@dataclass(frozen=True, slots=True)
class Finished:
    """Call that has ended: its delivery, its outcome, and the transition that follows.

    `once`: only the ledger keeps the action from happening twice (effect class at most once).
    """

    delivery_id: UUID
    attempt_id: UUID
    token: int
    outcome: Outcome
    transition: Transition
    request: dict[str, Any] | None = None
    once: bool = False


class Recording:
    """Recording of calls' outcomes in one transaction, begun on its pipeline."""

    def __init__(self, connection: Connection, finished: Sequence[Finished]) -> None:
        """Add the statements that record these outcomes."""
        self._connection = connection
        self.finished = finished
        self._done = [
            one for one in finished if one.once and one.outcome.verdict is Verdict.SUCCEEDED
        ]
        if not finished:
            return
        pipeline = pipeline_of(connection)
        self._closed = pipeline.add_rows(CLOSE_ATTEMPTS, [_attempt_values(one) for one in finished])
        ended = [one for one in finished if one.transition.delay_s is None]
        again = [one for one in finished if one.transition.delay_s is not None]
        if ended:
            pipeline.add_rows(END, [_delivery_values(one) for one in ended])
        if again:
            pipeline.add_rows(AGAIN, [_again_values(one) for one in again])

    def settle(self) -> int:
        """Return how many outcomes this holder could no longer write, and settle those.

        The new holder of the lane has settled them. An outcome that is now certain still settles
        an attempt that was left *unknown*, whichever holder brings it.
        """
        if not self.finished:
            return 0
        late = len(self.finished) - self._closed.rowcount
        if late:
            for one in self.finished:
                if one.outcome.verdict is not Verdict.IN_DOUBT:
                    _record_late(self._connection, one)
        if self._done:
            alert_duplicates(self._connection, [one.delivery_id for one in self._done])
        return late


def record(connection: Connection, finished: Sequence[Finished]) -> int:
    """Record the outcomes of calls; return how many this holder could no longer write.

    See `Recording.settle`.
    """
    return Recording(connection, finished).settle()


def _record_late(connection: Connection, one: Finished) -> None:
    """Settle an unknown outcome by the late answer of its call; no fencing token is needed."""
    values = _attempt_values(one)
    closed = connection.execute(
        update(Attempt)
        .where(Attempt.id == one.attempt_id, Attempt.state == AttemptState.UNKNOWN)
        .values(
            state=values["b_state"],
            ended_at=database_now(),
            status=values["b_status"],
            code=values["b_code"],
            message=values["b_message"],
            provider_ref=values["b_provider_ref"],
        )
    )
    if not closed.rowcount:
        if one.outcome.verdict is Verdict.SUCCEEDED and (
            one.once or _was_given_up(connection, one)
        ):
            _confirm_late(connection, one)
        return
    again = one.transition.delay_s is not None
    connection.execute(
        update(Delivery)
        .where(Delivery.id == one.delivery_id, Delivery.state == DeliveryState.UNKNOWN)
        .values(
            state=one.transition.delivery,
            error=bounded_text_or_none(one.transition.error),
            provider_ref=values["b_provider_ref"],
            next_attempt_at=database_later(one.transition.delay_s) if again else None,
            finished_at=None if again else database_now(),
        )
    )


def _was_given_up(connection: Connection, one: Finished) -> bool:
    """Return whether a delivery failed without this answer; a running one gets its own outcome."""
    state = select(Delivery.state).where(Delivery.id == one.delivery_id)
    return connection.execute(state).scalar_one() == DeliveryState.FAILED


def _confirm_late(connection: Connection, one: Finished) -> None:
    """Confirm a call that succeeded but was settled by another worker without its answer."""
    known = connection.execute(select(Attempt.state).where(Attempt.id == one.attempt_id))
    if known.scalar_one() == AttemptState.ACCEPTED:
        return
    now = connection.execute(select(database_now())).scalar_one()
    ref = bounded_text_or_none(one.outcome.provider_ref)
    said = "its answer, that it was taken, came after another worker took over"
    confirm(connection, one.attempt_id, seen_ref=ref, by="answer", said=said, now=now)


def _attempt_values(one: Finished) -> dict[str, Any]:
    return {
        "b_attempt_id": one.attempt_id,
        "b_delivery_id": one.delivery_id,
        "b_token": one.token,
        "b_state": one.transition.attempt,
        "b_status": one.outcome.status,
        "b_code": bounded_text_or_none(one.outcome.code),
        "b_message": bounded_text_or_none(one.outcome.message),
        "b_provider_ref": bounded_text_or_none(one.outcome.provider_ref),
        "b_request": one.request,
    }


def _delivery_values(one: Finished) -> dict[str, Any]:
    return {
        "b_delivery_id": one.delivery_id,
        "b_token": one.token,
        "b_state": one.transition.delivery,
        "b_error": bounded_text_or_none(one.transition.error),
        "b_provider_ref": bounded_text_or_none(one.outcome.provider_ref),
    }


def _again_values(one: Finished) -> dict[str, Any]:
    return _delivery_values(one) | {
        "b_delay_s": one.transition.delay_s,
        "b_unspent": int(not one.transition.spends_try),
        "b_refused": one.outcome.verdict is Verdict.BLOCKED,
    }


def orphans(connection: Connection, lease: Lease) -> list[dict[str, Any]]:
    """Return the calls that earlier holders of this lane left open."""
    rows = connection.execute(
        select(
            Delivery.id.label("delivery_id"),
            Delivery.route,
            Delivery.action,
            Delivery.tries,
            Delivery.lane_token.label("token"),
            Attempt.id.label("attempt_id"),
            WAS_POISON_SUSPECT.label("suspected"),
        )
        .join(Attempt, (Attempt.delivery_id == Delivery.id) & (Attempt.n == Delivery.attempts))
        .where(
            Delivery.destination == lease.destination,
            IS_RUNNING,
            Delivery.lane_token >= lease.first_token,
            Delivery.lane_token < lease.token,
        )
    )
    return [dict(row._mapping) for row in rows]


def abandon(orphan: dict[str, Any], policy: RetryPolicy, *, chance: float) -> Finished:
    """Return the end of a call whose worker died: its outcome is unknown.

    The effect class of the action decides what follows.
    """
    budget = Budget(tries=orphan["tries"], age_s=0)
    return Finished(
        delivery_id=orphan["delivery_id"],
        attempt_id=orphan["attempt_id"],
        token=orphan["token"],
        outcome=WORKER_DIED,
        transition=on_worker_death(policy, budget, suspected=orphan["suspected"], chance=chance),
    )
