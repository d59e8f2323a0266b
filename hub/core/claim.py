"""Claiming: due deliveries become attempts, with their parameters, before a byte leaves.

As many are claimed as there are free slots, never more: an attempt that was never sent must not
become doubtful. What cannot be sent at all (a condition that does not hold, a parameter that
cannot be rendered) is decided here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, case, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from adapters import Action
from hub.core.configuration import Route
from hub.core.context import Contexts
from hub.core.errors import ExpressionError
from hub.core.evidence import arrived
from hub.core.ids import new_id
from hub.core.lanes import Hold
from hub.core.models import (
    IS_DUE,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    StoredEvent,
    database_later,
    database_now,
)
from hub.core.routing import FETCH, Router
from hub.core.trouble import Trouble, trouble_of

GRACE = timedelta(minutes=10)
"""How long a new version of the file may take to reach every process."""
WAIT_FOR_FILE_S = 30.0
KEY_FORGOTTEN = (
    "it may have happened, and the provider may have forgotten its key by now: it is looked up"
)


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


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A delivery that ends here, without a call; or without a state, one that waits a little."""

    delivery_id: UUID
    state: DeliveryState | None
    error: str


def claim(
    connection: Connection,
    hold: Hold,
    *,
    slots: int,
    router: Router,
    contexts: Contexts,
    now: datetime,
    sandbox: bool,
    actions: Mapping[str, Action],
) -> tuple[list[Claimed], bool]:
    """Claim up to `slots` due deliveries of a held lane, oldest first.

    Returns the claimed, and whether there may be more that are due. `now` is for ids and for the
    age of what is tried first; `actions` are those that the destination has.
    The lane must have been found `workable` in the same transaction.
    """
    rows = connection.execute(_DUE, {"destination": hold.destination, "most": slots}).all()
    claimed: list[Claimed] = []
    ended: list[_Verdict] = []
    for row in rows:
        if row.arrived_id and row.last_key == delivery_key(row.id, row.key_n):
            arrived(connection, row.arrived_id, now=now)
            continue
        prepared = _prepare(row, router, contexts, actions, now)
        if isinstance(prepared, Claimed) and _is_too_old(connection, row, prepared, actions, now):
            prepared = _Verdict(row.id, DeliveryState.UNKNOWN, KEY_FORGOTTEN)
        (claimed if isinstance(prepared, Claimed) else ended).append(prepared)  # type: ignore[arg-type]
    if ended:
        _end(connection, ended)
    if claimed:
        _start(connection, hold, claimed, now, sandbox)
    return claimed, len(rows) == slots


def delivery_key(delivery_id: UUID, key_n: int) -> str:
    """Return the key that the provider sees: the delivery's id, and the number of its replay."""
    return f"{delivery_id}.{key_n}" if key_n else str(delivery_id)


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


def _prepare(
    row: Row[Any], router: Router, contexts: Contexts, actions: Mapping[str, Action], now: datetime
) -> Claimed | _Verdict:
    key = delivery_key(row.id, row.key_n)
    route = router.named(row.route)
    error = _mismatch(row, route, actions, frozen=row.last_key == key)
    if route is None or error:
        # Another version of the file may be on its way to this process.
        waits = row.event_config_version != router.version and row.since > now - GRACE
        return _Verdict(row.id, None if waits else DeliveryState.FAILED, error)
    try:
        if row.last_key == key:  # its outcome may still be open: the same bytes again
            parameters = row.last_parameters
        else:
            parameters = contexts.parameters(route, row)
    except ExpressionError as failure:
        return _Verdict(row.id, DeliveryState.FAILED, f"it cannot be rendered: {failure}")
    except DBAPIError as failure:
        if trouble_of(failure) is not Trouble.ROW:
            raise
        return _Verdict(row.id, DeliveryState.FAILED, "what it needs cannot be kept or read")
    except Exception as failure:  # noqa: BLE001 - the last resort: one poison row stops no lane
        error = f"it cannot be rendered ({type(failure).__name__})"
        return _Verdict(row.id, DeliveryState.FAILED, error)
    if parameters is None:
        return _Verdict(row.id, DeliveryState.SKIPPED, "condition")
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


def _is_too_old(
    connection: Connection,
    row: Row[Any],
    claimed: Claimed,
    actions: Mapping[str, Action],
    now: datetime,
) -> bool:
    """Return whether a key was first used so long ago that the provider may have forgotten it.

    Only a call that may have been processed is in danger: repeated, it would happen twice.
    """
    life_s = actions[claimed.action].key_life_s
    if life_s is None or row.last_key != claimed.key:
        return False
    in_doubt = Attempt.state == AttemptState.IN_DOUBT
    mine = (Attempt.delivery_id == row.id) & (Attempt.key == claimed.key)
    first, doubts = connection.execute(
        select(func.min(Attempt.started_at), func.count().filter(in_doubt)).where(mine)
    ).one()
    return bool(doubts) and first <= now - timedelta(seconds=life_s)


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


def _end(connection: Connection, ended: Sequence[_Verdict]) -> None:
    for verdict in ended:
        if verdict.state is None:
            connection.execute(
                update(Delivery)
                .where(Delivery.id == verdict.delivery_id)
                .values(next_attempt_at=database_later(WAIT_FOR_FILE_S), error=verdict.error)
            )
            continue
        if verdict.state is DeliveryState.UNKNOWN:
            _open_again(connection, verdict.delivery_id)
        connection.execute(
            update(Delivery)
            .where(Delivery.id == verdict.delivery_id, IS_DUE)
            .values(
                state=verdict.state,
                error=verdict.error,
                next_attempt_at=None,
                finished_at=None if verdict.state is DeliveryState.UNKNOWN else database_now(),
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


def _start(
    connection: Connection,
    hold: Hold,
    claimed: Sequence[Claimed],
    now: datetime,
    sandbox: bool,
) -> None:
    connection.execute(
        update(Delivery)
        .where(Delivery.id.in_([one.delivery_id for one in claimed]))
        .values(
            state=DeliveryState.RUNNING,
            # How long it has been tried is counted from its first try, not from a pause or delay.
            since=case((Delivery.attempts == 0, database_now()), else_=Delivery.since),
            lane_token=hold.token,
            attempts=Delivery.attempts + 1,
            tries=Delivery.tries + 1,
            sandbox=sandbox,
            next_attempt_at=None,
            error=None,
        )
    )
    connection.execute(
        insert(Attempt),
        [
            {
                "id": one.attempt_id,
                "delivery_id": one.delivery_id,
                "n": one.n,
                "key": one.key,
                "state": AttemptState.CALLING,
                "parameters": one.parameters,
                "sandbox": sandbox,
                "started_at": now,
            }
            for one in claimed
        ],
    )
