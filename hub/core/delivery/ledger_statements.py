"""Statements that every call of a worker needs: claims and records, for many deliveries at once.

The records change only deliveries of the lane's holder, by its fencing token.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    Text,
    Uuid,
    and_,
    case,
    insert,
    select,
    update,
)

from hub.core.models import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    database_later,
    database_now,
)
from hub.core.models.base import Json
from hub.core.pipeline import StatementForRows

RUN = StatementForRows(
    lambda row: (
        update(Delivery.__table__)  # type: ignore[arg-type]
        .where(Delivery.id == row["b_id"])
        .values(
            state=DeliveryState.RUNNING,
            # The age of a delivery counts from its first try, not from a pause or delay before it.
            since=case((Delivery.attempts == 0, database_now()), else_=Delivery.since),
            lane_token=row["b_token"],
            attempts=Delivery.attempts + 1,
            tries=Delivery.tries + 1,
            sandbox=row["b_sandbox"],
            next_attempt_at=None,
            error=None,
        )
    ),
    {"b_id": Uuid(), "b_token": BigInteger(), "b_sandbox": Boolean()},
    by=(Delivery.id, "b_id"),
)
_BEGUN = (
    Attempt.id,
    Attempt.delivery_id,
    Attempt.n,
    Attempt.key,
    Attempt.state,
    Attempt.parameters,
    Attempt.sandbox,
    Attempt.started_at,
)
BEGIN_ATTEMPTS = StatementForRows(
    lambda row: insert(Attempt.__table__).from_select(  # type: ignore[arg-type]
        [column.key for column in _BEGUN],
        select(*(row[column.key] for column in _BEGUN)),
        # The other columns have their defaults in the database.
        include_defaults=False,
    ),
    {column.key: column.type for column in _BEGUN},
)


def _is_mine(row: Mapping[str, Any]) -> ColumnElement[bool]:
    return and_(
        Delivery.id == row["b_delivery_id"],
        Delivery.lane_token == row["b_token"],
        Delivery.state == DeliveryState.RUNNING,
    )


_MINE = {"b_delivery_id": Uuid(), "b_token": BigInteger()}
CLOSE_ATTEMPTS = StatementForRows(
    lambda row: (
        update(Attempt.__table__)  # type: ignore[arg-type]
        .where(
            Attempt.id == row["b_attempt_id"],
            Attempt.state == AttemptState.CALLING,
            select(Delivery.id).where(_is_mine(row)).correlate_except(Delivery).exists(),
        )
        .values(
            state=row["b_state"],
            ended_at=database_now(),
            status=row["b_status"],
            code=row["b_code"],
            message=row["b_message"],
            provider_ref=row["b_provider_ref"],
            request=row["b_request"],
        )
    ),
    _MINE
    | {
        "b_attempt_id": Uuid(),
        "b_state": Text(),
        "b_status": Integer(),
        "b_code": Text(),
        "b_message": Text(),
        "b_provider_ref": Text(),
        "b_request": Json,
    },
    by=(Attempt.id, "b_attempt_id"),
)
_ENDED = _MINE | {"b_state": Text(), "b_error": Text(), "b_provider_ref": Text()}
END = StatementForRows(
    lambda row: (
        update(Delivery.__table__)  # type: ignore[arg-type]
        .where(_is_mine(row))
        .values(
            state=row["b_state"],
            error=row["b_error"],
            provider_ref=row["b_provider_ref"],
            next_attempt_at=None,
            finished_at=database_now(),
        )
    ),
    _ENDED,
    by=(Delivery.id, "b_delivery_id"),
)
AGAIN = StatementForRows(
    lambda row: (
        update(Delivery.__table__)  # type: ignore[arg-type]
        .where(_is_mine(row))
        .values(
            state=row["b_state"],
            error=row["b_error"],
            provider_ref=row["b_provider_ref"],
            next_attempt_at=database_later(row["b_delay_s"]),
            tries=Delivery.tries - row["b_unspent"],
            # While the account is refused, the delivery does not age either.
            since=case((row["b_refused"], database_now()), else_=Delivery.since),
        )
    ),
    _ENDED | {"b_delay_s": Float(), "b_unspent": Integer(), "b_refused": Boolean()},
    by=(Delivery.id, "b_delivery_id"),
)
