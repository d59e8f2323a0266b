"""Claims: due deliveries become attempts, stored with their parameters before any call is made.

A claim never takes more deliveries than there are free slots: an attempt that was never sent must
not end with an unknown outcome. Deliveries that cannot be sent at all (a condition that does not
hold, a parameter that cannot be rendered) are sorted out first (`prepare`).

The statements that select due deliveries are built once. They return the oldest first, with every
column that a claim needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select
from sqlalchemy.orm import aliased

from adapters import Action
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.evidence import complete_confirmed
from hub.core.delivery.lane_rows import Lease
from hub.core.delivery.lanes import ask_workable
from hub.core.delivery.ledger_statements import BEGIN_ATTEMPTS, RUN
from hub.core.delivery.poison import IS_POISON_SUSPECT, IS_POISONED, alert_poisoned
from hub.core.delivery.prepare import (
    Claimed,
    EndedUnsent,
    UnknownFromRestore,
    delivery_key,
    finish_unknown,
    finish_unsent,
    prepare_call,
)
from hub.core.delivery.restore_detection import LossWindow, PossibleDuplicate, possible_duplicate
from hub.core.delivery.transitions import DEADLY
from hub.core.inbound.routing import Router
from hub.core.leads.send_limits import SendLimits, SendRequest
from hub.core.models import (
    IS_DUE,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    StoredEvent,
    database_now,
)
from hub.core.pipeline import Answer, pipeline_of

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
        *(
            getattr(StoredEvent, name).label(f"event_{name}")
            for name in RenderContexts.EVENT_COLUMNS
        ),
        Attempt.n.label("last_n"),
        Attempt.key.label("last_key"),
        Attempt.parameters.label("last_parameters"),
        # An attempt under the same key that is confirmed already: no further call is needed.
        select(_earlier.id)
        .where(
            _earlier.delivery_id == Delivery.id,
            _earlier.key == Attempt.key,
            (_earlier.state == AttemptState.ACCEPTED) | _earlier.seen_ref.is_not(None),
        )
        .order_by(_earlier.n)
        .limit(1)
        .scalar_subquery()
        .label("arrived_id"),
        IS_POISONED.label("is_deadly"),
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
DUE = _DUE.where(~IS_POISON_SUSPECT)
# Deliveries to isolate: two workers in a row have died during their calls.
SUSPECTS = _DUE.where(IS_POISON_SUSPECT)


KEY_FORGOTTEN = (
    "it may have happened, and the provider may have forgotten its key by now: it is looked up"
)


@dataclass(frozen=True, slots=True)
class DueAnswer:
    """Answer to the look for due deliveries of a held lane, which must be workable."""

    workable: Answer
    due: Answer


def ask_due(connection: Connection, lease: Lease, slots: int, *, suspects: bool) -> DueAnswer:
    """Ask for up to `slots` due deliveries of a lane, and lock the lane's row until commit.

    `suspects`: suspected poison deliveries only, instead of all others.
    """
    pipeline = pipeline_of(connection)
    workable = ask_workable(pipeline, lease)
    wanted = {"destination": lease.destination, "most": slots}
    return DueAnswer(workable, pipeline.add(SUSPECTS if suspects else DUE, wanted))


def claim(
    connection: Connection,
    lease: Lease,
    *,
    slots: int,
    router: Router,
    contexts: RenderContexts,
    now: datetime,
    sandbox: bool,
    actions: Mapping[str, Action],
    restored: Sequence[LossWindow] = (),
    caps: SendLimits | None = None,
    suspects: bool = False,
    on_row: Callable[[], None] = lambda: None,
    due: DueAnswer | None = None,
) -> tuple[list[Claimed], bool]:
    """Claim up to `slots` due deliveries of a held lane, oldest first.

    Return the claims, and whether there may be more due deliveries. The lane must have been found
    `workable` in the same transaction.

    `now` is for ids, and for the age of deliveries and keys. `actions` are the destination's
    actions. `restored` are the windows whose calls a restored database may be missing. `caps` are
    the send limits of texts and e-mails. `suspects` claims suspected poison deliveries only,
    instead of all others. `on_row` is called before each delivery: rendering its parameters may
    take a while.

    A delivery that another shard's holder has called since the statement began is locked as it is
    now, but found without the attempt made meanwhile, whose key and parameters hold: it stays due.
    """
    due = due or ask_due(connection, lease, slots, suspects=suspects)
    if not due.workable.all():
        return [], False
    rows = due.due.all()
    known = [row for row in rows if row.last_n or not row.attempts]
    claimed: list[Claimed] = []
    ended: list[EndedUnsent] = []
    in_doubt: list[UnknownFromRestore] = []
    for row in known:
        on_row()
        if row.arrived_id and row.last_key == delivery_key(row.id, row.key_n):
            complete_confirmed(connection, row.arrived_id, now=now)
            continue
        prepared = prepare_call(row, router, contexts, actions, now)
        if isinstance(prepared, Claimed) and _is_too_old(connection, row, prepared, actions, now):
            prepared = EndedUnsent(row.id, DeliveryState.UNKNOWN, KEY_FORGOTTEN)
        if isinstance(prepared, Claimed) and not (sandbox or prepared.route.at_least_once):
            lost = possible_duplicate(
                row, actions[prepared.action], prepared.route.parameters, restored,
                frozen=row.last_key == prepared.key, now=now,
            )  # fmt: skip
            if lost:
                in_doubt.append(_in_doubt(prepared, lost))
                continue
        if caps and isinstance(prepared, Claimed) and row.last_key != prepared.key:
            prepared = _within(caps, row, prepared)
        (claimed if isinstance(prepared, Claimed) else ended).append(prepared)  # type: ignore[arg-type]
    if caps:
        caps.report()
    if ended:
        finish_unsent(connection, ended)
        alert_poisoned(connection, [one.delivery_id for one in ended if one.error == DEADLY])
    if in_doubt:
        finish_unknown(connection, in_doubt, now=now)
    if claimed:
        _start(connection, lease, claimed, now, sandbox)
    return claimed, len(rows) == slots or len(known) < len(rows)


def _in_doubt(claimed: Claimed, lost: PossibleDuplicate) -> UnknownFromRestore:
    return UnknownFromRestore(
        claimed.delivery_id, claimed.attempt_id, claimed.n, claimed.key, claimed.parameters, lost
    )


def _within(caps: SendLimits, row: Row[Any], claimed: Claimed) -> Claimed | EndedUnsent:
    wanted = SendRequest(row.event_id, claimed.action, claimed.parameters)
    refusal = caps.refusal(wanted)
    return EndedUnsent(row.id, DeliveryState.SKIPPED, refusal) if refusal else claimed


def _is_too_old(
    connection: Connection,
    row: Row[Any],
    claimed: Claimed,
    actions: Mapping[str, Action],
    now: datetime,
) -> bool:
    """Return whether a key was first used so long ago that the provider may have forgotten it.

    Only a call that may have been processed is at risk: repeated, it would happen twice.
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


def _start(
    connection: Connection,
    lease: Lease,
    claimed: Sequence[Claimed],
    now: datetime,
    sandbox: bool,
) -> None:
    pipeline = pipeline_of(connection)
    run = [
        {"b_id": one.delivery_id, "b_token": lease.token, "b_sandbox": sandbox} for one in claimed
    ]
    pipeline.add_rows(RUN, run)
    begun = [
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
    ]
    pipeline.add_rows(BEGIN_ATTEMPTS, begun)
