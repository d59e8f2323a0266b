"""The list of deliveries: by state and destination, the newest first, each page bounded.

What an index serves (a state, a time) is read from it; among that, so many are looked through for
the rest, and the next page goes on where this one has stopped looking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, literal, select, union_all

from hub.core.models import Attempt, Delivery, DeliveryState, StoredEvent, is_among
from hub.core.queries.event_rows import EventRow as Event
from hub.core.queries.event_rows import event_row, select_event_rows
from hub.core.replays.selection import Selection

# How many deliveries are looked through for one page, at most.
WINDOW = 10_000
MOST_COUNTED = 10_000
# The states that need somebody, or may soon: few, and found by an index of their own.
COUNTED = (DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.RETRYING)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries. `before` leads on to older ones; None: there are none.

    `looked_through` is whether it ends where looking has stopped, not where the page was full.
    """

    rows: Sequence[Any]
    events: Mapping[UUID, Event]
    before: UUID | None
    looked_through: bool = False


def list_deliveries(
    connection: Connection, selection: Selection, *, limit: int, before: UUID | None = None
) -> DeliveryPage:
    """Return deliveries of a selection with their event and their last attempt's answer."""
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
    events = events_of(connection, [row.event_id for row in rows])
    if len(found) > limit:
        return DeliveryPage(rows, events, found[limit - 1])
    return DeliveryPage(rows, events, floor, looked_through=floor is not None)


def events_of(connection: Connection, ids: Iterable[UUID]) -> Mapping[UUID, Event]:
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


def _rows(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    if not ids:
        return []
    return connection.execute(
        select(
            Delivery.id,
            Delivery.event_id,
            Delivery.route,
            Delivery.destination,
            Delivery.action,
            Delivery.state,
            Delivery.attempts,
            Delivery.next_attempt_at,
            Delivery.finished_at,
            Delivery.created_at,
            Delivery.error,
            Delivery.status,
            Delivery.sandbox,
            Attempt.status.label("answer"),
            Attempt.code,
        )
        .outerjoin(Attempt, (Attempt.delivery_id == Delivery.id) & (Attempt.n == Delivery.attempts))
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.id.desc())
    ).all()
