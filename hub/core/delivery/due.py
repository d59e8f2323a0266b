"""The statements that find due work, built once: the oldest first, with all that a claim needs."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import aliased

from hub.core.delivery.deaths import IS_DEADLY, IS_SUSPECT
from hub.core.expressions.context import Contexts
from hub.core.models import IS_DUE, Attempt, AttemptState, Delivery, StoredEvent, database_now

_earlier = aliased(Attempt)
_DUE = (
    select(
        Delivery.id,
        Delivery.event_id,
        Delivery.route,
        Delivery.destination,
        Delivery.action,
        Delivery.attempts,
        Delivery.tries,
        Delivery.key_n,
        Delivery.since,
        Delivery.unsure_since,
        *(getattr(StoredEvent, name).label(f"event_{name}") for name in Contexts.EVENT_COLUMNS),
        Attempt.key.label("last_key"),
        Attempt.parameters.label("last_parameters"),
        select(_earlier.id)  # `has_arrived`
        .where(
            _earlier.delivery_id == Delivery.id,
            _earlier.key == Attempt.key,
            (_earlier.state == AttemptState.ACCEPTED) | _earlier.seen_ref.is_not(None),
        )
        .order_by(_earlier.n)
        .limit(1)
        .scalar_subquery()
        .label("arrived_id"),
        IS_DEADLY.label("is_deadly"),
    )
    .join(StoredEvent, StoredEvent.id == Delivery.event_id)
    .outerjoin(Attempt, (Attempt.delivery_id == Delivery.id) & (Attempt.n == Delivery.attempts))
    .where(
        Delivery.destination == bindparam("destination"),
        IS_DUE,
        Delivery.next_attempt_at <= database_now(),
    )
    .order_by(Delivery.next_attempt_at)
    .limit(bindparam("most"))
    .with_for_update(of=Delivery, skip_locked=True)
)
DUE = _DUE.where(~IS_SUSPECT)
SUSPECTS = _DUE.where(IS_SUSPECT)
"""What is tried with nothing beside it: two workers in a row have died in its calls."""
