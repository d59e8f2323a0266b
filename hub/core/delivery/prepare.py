"""Preparation of due deliveries: each becomes a call with parameters, or ends without a call.

Without a call a delivery ends at its claim, stays due a little later, or has an unknown outcome
from the start.
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
from hub.core.errors import HubError
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
# Time that a new version of hub.yaml may take to reach every process.
GRACE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class EndedUnsent:
    """Delivery that ends without a call; with `state` None it is due again a little later."""

    delivery_id: UUID
    state: DeliveryState | None
    error: str


@dataclass(frozen=True, slots=True)
class UnknownFromRestore:
    """Delivery that may already have been made, by a hub whose records a restore has lost."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    key: str
    parameters: Mapping[str, Any]
    lost: PossibleDuplicate


def finish_unknown(
    connection: Connection, doubts: Sequence[UnknownFromRestore], *, now: datetime
) -> None:
    """Insert an attempt of unknown outcome per delivery, for evidence or a person to settle."""
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
    """Record the end, or the postponement, of deliveries that are not called."""
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
    """Reopen the last attempt that may have been processed, so that it is looked up."""
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


@dataclass(frozen=True, slots=True)
class Claimed:
    """Claim of a delivery: once its attempt is committed, the call may be made."""

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
    """Return the key that the provider sees: the delivery's id, and its replay number if any."""
    return f"{delivery_id}.{key_n}" if key_n else str(delivery_id)


def prepare_call(
    row: Row[Any],
    router: Router,
    contexts: RenderContexts,
    actions: Mapping[str, Action],
    now: datetime,
) -> Claimed | EndedUnsent:
    """Return the claim of a row of `claim.DUE`, or its end without a call.

    `now` is for the attempt's id, and for ages.
    """
    # A look-up that found no effect has made it due again.
    if row.is_deadly:
        return EndedUnsent(row.id, DeliveryState.FAILED, DEADLY)
    key = delivery_key(row.id, row.key_n)
    route = router.by_name(row.route)
    error = _mismatch(row, route, actions, frozen=row.last_key == key)
    if route is None or error:
        # A newer version of hub.yaml may not have reached this process yet.
        waits = row.event_config_version != router.version and row.since > now - GRACE
        return EndedUnsent(row.id, None if waits else DeliveryState.FAILED, error)
    if why := contexts.cancelled(route, row):
        return EndedUnsent(row.id, DeliveryState.SKIPPED, why)
    try:
        # The outcome of the last attempt may still be open: send the same bytes again.
        if row.last_key == key:
            parameters = row.last_parameters
        else:
            parameters = contexts.parameters(route, row)
    except HubError as failure:
        return EndedUnsent(row.id, DeliveryState.FAILED, f"it cannot be rendered: {failure}")
    except DBAPIError as failure:
        if classify(failure) is not DatabaseErrorKind.REJECTED_ROW:
            raise
        return EndedUnsent(row.id, DeliveryState.FAILED, "what it needs cannot be kept or read")
    except Exception as failure:  # noqa: BLE001 - last resort: one bad row must not stop its lane
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
    """Return the reason why the current configuration cannot make a delivery; empty if it can."""
    if route is None and row.route.startswith(FETCH):
        return "its source has no account with credentials any more: give it some and replay"
    if route is None:
        return f"route {row.route} is not in hub.yaml any more: put it back, or name it in `was`"
    if not frozen and (route.destination, route.action) != (row.destination, row.action):
        return f"route {row.route} now does {route.destination}.{route.action}: replay to do that"
    if row.action not in actions:
        return f"the destination has no action {row.action}: mend `do` of the route and replay"
    return ""
