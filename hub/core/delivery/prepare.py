"""What a due delivery becomes: a call with its parameters, or an end without one.

Deliveries that end at their claim, wait on, or are in doubt from the start: without a call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from adapters import Action
from hub.core.configuration import Route
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.evidence import append_evidence
from hub.core.delivery.restore_detection import PossibleDuplicate
from hub.core.delivery.transitions import DEADLY
from hub.core.errors import ExpressionError
from hub.core.ids import new_id
from hub.core.inbound.routing import FETCH, Router
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
class EndedUnsent:
    """A delivery that ends here, without a call; or without a state, one that waits a little."""

    delivery_id: UUID
    state: DeliveryState | None
    error: str


@dataclass(frozen=True, slots=True)
class UnknownFromRestore:
    """A delivery that may have been made by a hub whose records are lost."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    key: str
    parameters: Mapping[str, Any]
    lost: PossibleDuplicate


def finish_unknown(
    connection: Connection, doubts: Sequence[UnknownFromRestore], *, now: datetime
) -> None:
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


def _attempt_values(one: UnknownFromRestore, now: datetime) -> dict[str, Any]:
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
        "evidence": append_evidence(None, by="restoration", said=said, now=now),
    }


def finish_unsent(connection: Connection, ended: Sequence[EndedUnsent]) -> None:
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


# How long a new version of the file may take to reach every process.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery whose attempt is committed and may be called now."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    action: str
    key: str
    parameters: Mapping[str, Any]
    route: Route
    tries: int
    since: datetime


def delivery_key(delivery_id: UUID, key_n: int) -> str:
    """Return the key that the provider sees: the delivery's id, and the number of its replay."""
    return f"{delivery_id}.{key_n}" if key_n else str(delivery_id)


def prepare_call(
    row: Row[Any],
    router: Router,
    contexts: RenderContexts,
    actions: Mapping[str, Action],
    now: datetime,
) -> Claimed | EndedUnsent:
    """Return what becomes of a row of `due.DUE`. `now` is for the attempt's id."""
    if row.is_deadly:  # a look-up has let it be tried again
        return EndedUnsent(row.id, DeliveryState.FAILED, DEADLY)
    key = delivery_key(row.id, row.key_n)
    route = router.by_name(row.route)
    error = _mismatch(row, route, actions, frozen=row.last_key == key)
    if route is None or error:
        # Another version of the file may be on its way to this process.
        waits = row.event_config_version != router.version and row.since > now - GRACE
        return EndedUnsent(row.id, None if waits else DeliveryState.FAILED, error)
    if why := contexts.cancelled(route, row):
        return EndedUnsent(row.id, DeliveryState.SKIPPED, why)
    try:
        if row.last_key == key:  # its outcome may still be open: the same bytes again
            parameters = row.last_parameters
        else:
            parameters = contexts.parameters(route, row)
    except ExpressionError as failure:
        return EndedUnsent(row.id, DeliveryState.FAILED, f"it cannot be rendered: {failure}")
    except DBAPIError as failure:
        if classify(failure) is not DatabaseErrorKind.REJECTED_ROW:
            raise
        return EndedUnsent(row.id, DeliveryState.FAILED, "what it needs cannot be kept or read")
    except Exception as failure:  # noqa: BLE001 - the last resort: one poison row stops no lane
        error = f"it cannot be rendered ({type(failure).__name__})"
        return EndedUnsent(row.id, DeliveryState.FAILED, error)
    if parameters is None:
        return EndedUnsent(row.id, DeliveryState.SKIPPED, "condition")
    return Claimed(
        delivery_id=row.id,
        attempt_id=new_id(now),
        n=row.attempts + 1,
        action=row.action,
        key=key,
        parameters=parameters,
        route=route,
        tries=row.tries + 1,
        since=row.since if row.attempts else now,
    )


def _mismatch(
    row: Row[Any], route: Route | None, actions: Mapping[str, Action], *, frozen: bool
) -> str:
    """Return why a delivery cannot be made as today's file says; empty when it can."""
    if route is None and row.route.startswith(FETCH):
        return "its source has no account with credentials any more: give it some and replay"
    if route is None:
        return f"route {row.route} is not in hub.yaml any more: put it back, or name it in `was`"
    if not frozen and (route.destination, route.action) != (row.destination, row.action):
        return f"route {row.route} now does {route.destination}.{route.action}: replay to do that"
    if row.action not in actions:
        return f"the destination has no action {row.action}: mend `do` of the route and replay"
    return ""
