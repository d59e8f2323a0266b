"""Deliveries that end at their claim, wait on, or are in doubt from the start: without a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from hub.core.delivery.evidence import with_one_more
from hub.core.delivery.restored import Lost
from hub.core.models import (
    IS_DUE,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    database_later,
    database_now,
)

WAIT_FOR_FILE_S = 30.0
MAY_HAVE_BEEN = "the database was restored from a backup: it may have been done before"


@dataclass(frozen=True, slots=True)
class Uncalled:
    """A delivery that ends here, without a call; or without a state, one that waits a little."""

    delivery_id: UUID
    state: DeliveryState | None
    error: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A delivery that may have been made by a hub whose records are lost."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    key: str
    parameters: Mapping[str, Any]
    lost: Lost


def end_in_doubt(connection: Connection, doubts: Sequence[InDoubt], *, now: datetime) -> None:
    """Give deliveries an attempt of unknown outcome, for evidence or a person to settle."""
    connection.execute(
        update(Delivery)
        .where(Delivery.id.in_([one.delivery_id for one in doubts]))
        .values(
            state=DeliveryState.UNKNOWN,
            error=MAY_HAVE_BEEN,
            attempts=Delivery.attempts + 1,
            next_attempt_at=None,
            unsure_since=None,
        )
    )
    connection.execute(insert(Attempt), [_attempt_values(one, now) for one in doubts])


def _attempt_values(one: InDoubt, now: datetime) -> dict[str, Any]:
    earliest = one.lost.earliest_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    said = f"{MAY_HAVE_BEEN}, not earlier than {earliest}"
    if one.lost.blind:
        said += ", and a look-up would prove nothing: its key, or its words, were others then"
    return {
        "id": one.attempt_id,
        "delivery_id": one.delivery_id,
        "n": one.n,
        "key": one.key,
        "state": AttemptState.UNKNOWN,
        "parameters": one.parameters,
        "message": MAY_HAVE_BEEN,
        "started_at": now,
        "earliest_at": one.lost.earliest_at,
        "blind": one.lost.blind,
        "evidence": with_one_more(None, by="restoration", said=said, now=now),
    }


def end_uncalled(connection: Connection, ended: Sequence[Uncalled]) -> None:
    """Write down what became of deliveries that are not called."""
    for one in ended:
        if one.state is None:
            connection.execute(
                update(Delivery)
                .where(Delivery.id == one.delivery_id)
                .values(next_attempt_at=database_later(WAIT_FOR_FILE_S), error=one.error)
            )
            continue
        if one.state is DeliveryState.UNKNOWN:
            _open_again(connection, one.delivery_id)
        connection.execute(
            update(Delivery)
            .where(Delivery.id == one.delivery_id, IS_DUE)
            .values(
                state=one.state,
                error=one.error,
                next_attempt_at=None,
                finished_at=None if one.state is DeliveryState.UNKNOWN else database_now(),
            )
        )


def _open_again(connection: Connection, delivery_id: UUID) -> None:
    """Make the last attempt that may have been processed the open one: it is to be looked up."""
    last = (
        select(func.max(Attempt.n))
        .where(Attempt.delivery_id == delivery_id, Attempt.state == AttemptState.IN_DOUBT)
        .scalar_subquery()
    )
    connection.execute(
        update(Attempt)
        .where(Attempt.delivery_id == delivery_id, Attempt.n == last)
        .values(state=AttemptState.UNKNOWN, closed_by=None, absences=0, looked_at=None)
    )
