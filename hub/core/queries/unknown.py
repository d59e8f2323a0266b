"""Unknown outcomes: the list with its evidence for and against, and settlement by a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from hub.core.delivery.reconcile import SETTLE_S
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.delivery.transitions import LOOK_AGAIN_S
from hub.core.errors import NotFound, Refused
from hub.core.hub import Hub
from hub.core.models import Attempt, AttemptState, AuditEntry, Delivery, DeliveryState, is_among
from hub.core.queries.deliveries import LISTED
from hub.core.queries.rows import Json, Page, json_of, page_of

# Maximum number of deliveries that are settled with one reason.
MOST_ALIKE = 500
# Number of unknown outcomes, the newest ones, that are grouped by `alike`.
GROUPED = 2000
SAME_TIME = timedelta(minutes=1)

_IS_UNKNOWN = is_among([DeliveryState.UNKNOWN])
# JSON names of a row: those of the delivery, and of its attempt of unknown outcome.
_RECORDED = (*LISTED, "sent_at", "looked_at", "absences", "evidence")
_OPEN = (Attempt.delivery_id == Delivery.id) & (Attempt.state == AttemptState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence about a call. `speaks` is `for` or `against` its effect, or empty: undecided."""

    said: str
    by: str
    at: datetime | None
    speaks: str = ""


@dataclass(frozen=True, slots=True)
class UnknownDelivery:
    """Delivery of unknown outcome, with its evidence.

    `next_look_at` is the time of the next look-up, None if the outcome cannot be looked up. From
    `asked_at` on a person is asked to settle it.
    """

    id: UUID
    event_id: UUID
    route: str
    destination: str
    action: str
    error: str | None
    sandbox: bool
    sent_at: datetime | None
    parameters: Mapping[str, Any]
    evidence: Sequence[Evidence]
    next_look_at: datetime | None
    asked_at: datetime | None
    recorded: Json = field(repr=False)

    def as_json(self) -> Json:
        """Return the JSON form of the row (`hub unknown --json`), with the evidence as recorded."""
        return dict(self.recorded)


@dataclass(frozen=True, slots=True)
class Alike:
    """Group of unknown outcomes of one destination and action, sent within the same minute."""

    destination: str
    action: str
    since: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Result of a settlement: the number settled, and a sentence for each of the others."""

    settled: int
    before: Sequence[str]


def list_unknown(
    connection: Connection, hub: Hub, *, limit: int, before: UUID | None = None
) -> Page[UnknownDelivery]:
    """Return a page of deliveries of unknown outcome, newest first."""
    statement = _SELECT
    if before:
        statement = statement.where(Delivery.id < before)
    rows = connection.execute(statement.order_by(Delivery.id.desc()).limit(limit + 1)).all()
    return page_of([_unknown_delivery(hub, row) for row in rows], limit)


def unknown_deliveries(
    connection: Connection, hub: Hub, ids: Sequence[UUID]
) -> Sequence[UnknownDelivery]:
    """Return the deliveries among these ids whose outcome is unknown, newest first."""
    statement = _SELECT.where(Delivery.id.in_(ids)).order_by(Delivery.id.desc())
    return [_unknown_delivery(hub, row) for row in connection.execute(statement)]


def alike(connection: Connection) -> Sequence[Alike]:
    """Return the groups of two or more unknown outcomes of one destination, action and minute."""
    sent = connection.execute(
        select(Delivery.destination, Delivery.action, Attempt.started_at)
        .join(Attempt, _OPEN)
        .where(_IS_UNKNOWN)
        .order_by(Delivery.id.desc())
        .limit(GROUPED)
    )
    counted = Counter(
        (row.destination, row.action, row.started_at.replace(second=0, microsecond=0))
        for row in sent
    )
    return [Alike(*key, count) for key, count in counted.items() if count > 1]


def ids_alike(
    connection: Connection, destination: str, action: str, since: datetime
) -> Sequence[UUID]:
    """Return the ids of the deliveries of such a group, at most `MOST_ALIKE`."""
    return (
        connection.execute(
            select(Delivery.id)
            .join(Attempt, _OPEN)
            .where(
                _IS_UNKNOWN,
                Delivery.destination == destination,
                Delivery.action == action,
                Attempt.started_at >= since,
                Attempt.started_at < since + SAME_TIME,
            )
            .order_by(Delivery.id)
            .limit(MOST_ALIKE)
        )
        .scalars()
        .all()
    )


def answer_all(
    connection: Connection,
    ids: Sequence[UUID],
    answer: SettleAnswer,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Answered:
    """Settle deliveries by a person's answer; skip those whose outcome is not unknown any more.

    Raises:
        Refused: no reason is given.
    """
    if not reason.strip():
        raise Refused("say how you know")
    settled, before = 0, []
    for delivery_id in sorted(ids):
        try:
            settle(connection, delivery_id, answer, reason=reason, actor=actor, now=now)
        except (Refused, NotFound) as error:
            before.append(_said_before(connection, delivery_id) or str(error))
        else:
            settled += 1
    return Answered(settled, before)


def _said_before(connection: Connection, delivery_id: UUID) -> str | None:
    """Return a sentence on the actor and the answer of a settlement; None if none is recorded."""
    entry = connection.execute(
        select(AuditEntry.actor, AuditEntry.action, AuditEntry.reason)
        .where(
            AuditEntry.subject == f"delivery {delivery_id}",
            AuditEntry.action.in_([f"settle.{answer}" for answer in SettleAnswer]),
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    if entry is None:
        return None
    who, said = entry.actor.partition(":")[2] or entry.actor, entry.action.partition(".")[2]
    return f"{who} has answered before you: “{_SAID[SettleAnswer(said)]}” ({entry.reason})"


_SAID = {
    SettleAnswer.ARRIVED: "it arrived",
    SettleAnswer.AGAIN: "send again",
    SettleAnswer.DROP: "drop it",
}

_SELECT: Any = (
    select(
        *[getattr(Delivery, name) for name in LISTED],
        Attempt.started_at.label("sent_at"),
        Attempt.looked_at,
        Attempt.absences,
        Attempt.evidence,
        Attempt.parameters,
    )
    .outerjoin(Attempt, _OPEN)
    .where(_IS_UNKNOWN)
)


def _unknown_delivery(hub: Hub, row: Any) -> UnknownDelivery:
    pair = (row.destination, row.action)
    supports_lookup = hub.supports_lookup(*pair) and row.sent_at is not None
    return UnknownDelivery(
        id=row.id,
        event_id=row.event_id,
        route=row.route,
        destination=row.destination,
        action=row.action,
        error=row.error,
        sandbox=row.sandbox,
        sent_at=row.sent_at,
        parameters=row.parameters or {},
        evidence=_evidence(row.evidence or [], row.absences or 0),
        next_look_at=_next_look(row) if supports_lookup else None,
        asked_at=row.sent_at and row.sent_at + timedelta(seconds=hub.ask_after_s(*pair)),
        recorded=json_of(row, _RECORDED),
    )


def _next_look(row: Any) -> datetime:
    settled: datetime = row.sent_at + timedelta(seconds=SETTLE_S)
    again = row.looked_at and row.looked_at + timedelta(seconds=LOOK_AGAIN_S)
    return max(settled, again or settled)


def _evidence(told: Sequence[Mapping[str, Any]], absences: int) -> Sequence[Evidence]:
    """Return the recorded evidence of an attempt, in order of time.

    Its last `absences` look-ups found nothing: they speak against, webhooks speak for.
    """
    found: list[Evidence] = []
    for one in reversed(told):
        by, said = str(one.get("by", "")), str(one.get("said", ""))
        against = by == "lookup" and absences > 0
        absences -= against
        speaks = "against" if against else "for" if by == "webhook" else ""
        found.append(Evidence(said, by, _instant(one.get("at")), speaks))
    return found[::-1]


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
