"""The list of deliveries: by state and destination, the newest first, each page bounded.

What an index serves (a state, a time) is read from it; among that, so many are looked through for
the rest, and the next page goes on where this one has stopped looking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, literal, select, union_all

from hub.core.ids import instant_of
from hub.core.models import Attempt, Delivery, DeliveryState, StoredEvent, is_among
from hub.core.queries.event_rows import EventRow, event_row, select_event_rows
from hub.core.queries.rows import Json, Page, json_of
from hub.core.replays.selection import Selection

# How many deliveries are looked through for one page, at most.
WINDOW = 10_000
MOST_COUNTED = 10_000
# The states that need somebody, or may soon: few, and found by an index of their own.
COUNTED = (DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.RETRYING)


# Names of a delivery's row in JSON.
LISTED = (
    "id", "event_id", "route", "destination", "action", "state", "attempts", "next_attempt_at",
    "error", "provider_ref", "status", "sandbox",
)  # fmt: skip
_ATTEMPT = (
    "id", "n", "key", "state", "sandbox", "started_at", "ended_at", "status", "code", "message",
    "provider_ref", "closed_by", "evidence", "parameters", "request",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery in a list; `answer` and `code` are the last attempt's status and error code."""

    id: UUID
    event_id: UUID
    route: str
    destination: str
    action: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    error: str | None
    provider_ref: str | None
    status: str | None
    sandbox: bool
    answer: int | None
    code: str | None

    def as_json(self) -> Json:
        """Return the row as programs read it (`hub deliveries --json`)."""
        return json_of(self, LISTED)


def list_deliveries(
    connection: Connection, selection: Selection, *, limit: int, before: UUID | None = None
) -> Page[DeliveryRow]:
    """Return a page of a selection's deliveries, each with its last attempt's answer."""
    within = list(selection.indexed())
    if before:
        within.append(Delivery.id < before)
    others = selection.others()
    floor = _floor(connection, within) if others else None
    if floor:
        within.append(Delivery.id >= floor)
    ids = select(Delivery.id).where(*within, *others).order_by(Delivery.id.desc()).limit(limit + 1)
    found = connection.execute(ids).scalars().all()
    rows = _rows(connection, found[:limit])
    if len(found) > limit:
        return Page(rows, found[limit - 1])
    return Page(rows, floor, instant_of(floor) if floor else None)


def find_delivery(connection: Connection, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery; None when there is none."""
    return next(iter(_rows(connection, [delivery_id])), None)


def deliveries_of(connection: Connection, event_id: UUID, *, limit: int) -> Sequence[DeliveryRow]:
    """Return the newest deliveries of an event, the oldest of them first."""
    return list_deliveries(connection, Selection(event=event_id), limit=limit).rows[::-1]


def attempts_of(connection: Connection, delivery_id: UUID) -> list[Json]:
    """Return the attempts of a delivery as JSON, the first one first."""
    statement = (
        select(*[getattr(Attempt, name) for name in _ATTEMPT])
        .where(Attempt.delivery_id == delivery_id)
        .order_by(Attempt.n)
    )
    return [json_of(row, _ATTEMPT) for row in connection.execute(statement)]


def count_open(connection: Connection, event_ids: Sequence[UUID]) -> int:
    """Return how many deliveries of these events have not ended."""
    open_states = ("waiting", "pending", "running", "retrying")
    counted = select(func.count()).where(
        Delivery.event_id.in_(event_ids), Delivery.state.in_(open_states)
    )
    return connection.execute(counted).scalar_one()


def events_of(connection: Connection, ids: Iterable[UUID]) -> Mapping[UUID, EventRow]:
    """Return these events, each with what a sentence on it names."""
    statement = select_event_rows(connection, StoredEvent).where(StoredEvent.id.in_(set(ids)))
    rows = connection.execute(statement).all()
    return {row.id: event_row(connection, row) for row in rows}


def counts(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """Return how many of each state in `COUNTED` there are, by destination.

    No more than `MOST_COUNTED` and one of each state are counted, the newest ones.
    """
    some = union_all(
        *(
            select(
                select(literal(state.value).label("state"), Delivery.destination)
                .where(is_among([state]))
                .order_by(Delivery.id.desc())
                .limit(MOST_COUNTED + 1)
                .subquery()
            )
            for state in COUNTED
        )
    ).subquery()
    columns = (some.c.state, some.c.destination)
    found: dict[str, dict[str, int]] = {state.value: {} for state in COUNTED}
    for state, destination, count in connection.execute(
        select(*columns, func.count()).group_by(*columns)
    ):
        found[state][destination] = count
    return found


def _floor(connection: Connection, within: Sequence[Any]) -> UUID | None:
    """Return the last delivery that is looked at for one page; None when all are."""
    return connection.execute(
        select(Delivery.id).where(*within).order_by(Delivery.id.desc()).offset(WINDOW).limit(1)
    ).scalar_one_or_none()


def _rows(connection: Connection, ids: Sequence[UUID]) -> list[DeliveryRow]:
    if not ids:
        return []
    last = (Attempt.delivery_id == Delivery.id) & (Attempt.n == Delivery.attempts)
    own = [one.name for one in fields(DeliveryRow) if one.name not in ("answer", "code")]
    statement = (
        select(
            *[getattr(Delivery, name) for name in own],
            Attempt.status.label("answer"),
            Attempt.code,
        )
        .outerjoin(Attempt, last)
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.id.desc())
    )
    return [DeliveryRow(**row._mapping) for row in connection.execute(statement)]
