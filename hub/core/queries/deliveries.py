"""List of deliveries: filtered by a selection, newest first, with a bounded cost per page.

Conditions that an index serves (a state, a time range) are read from the index. The others are
checked on up to `WINDOW` of those rows; the next page continues where the scan stopped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, literal, select, union_all

from hub.core.ids import instant_of
from hub.core.models import Attempt, Delivery, DeliveryState, StoredEvent, is_among
from hub.core.queries.event_rows import EventRow, event_row, select_event_rows
from hub.core.queries.rows import Json, Page, json_of
from hub.core.replays.selection import Selection
from hub.core.text import matches

# Maximum number of deliveries scanned for one page.
WINDOW = 10_000
MOST_COUNTED = 10_000
# States that need a person, now or perhaps soon. Such deliveries are few, and partial indexes find
# them.
COUNTED = (DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.RETRYING)

# JSON names of a delivery row.
LISTED = (
    "id", "event_id", "route", "destination", "action", "state", "attempts", "next_attempt_at",
    "error", "provider_ref", "status", "sandbox",
)  # fmt: skip
# JSON names of an attempt row.
_ATTEMPT = (
    "id", "n", "key", "state", "sandbox", "started_at", "ended_at", "status", "code", "message",
    "provider_ref", "closed_by", "evidence", "parameters", "request",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """Delivery row of a list; `answer` and `code` are the last attempt's status and error code."""

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
        """Return the JSON form of the row, as printed by `hub deliveries --json`."""
        return json_of(self, LISTED)


def list_deliveries(
    connection: Connection,
    selection: Selection,
    *,
    limit: int,
    before: UUID | None = None,
    destination: str | None = None,
    route: str | None = None,
) -> Page[DeliveryRow]:
    """Return a page of a selection's deliveries, newest first, with their last attempt's status.

    `destination` and `route` are further conditions that may be globs, such as `crm*`: a selection
    takes names as they are, since a replay may be made of it.
    """
    within = list(selection.indexed())
    if before:
        within.append(Delivery.id < before)
    others = selection.others()
    if destination is not None:
        others.append(matches(Delivery.destination, destination))
    if route is not None:
        others.append(matches(Delivery.route, route))
    floor = _floor(connection, within) if others else None
    if floor:
        within.append(Delivery.id >= floor)
    ids = select(Delivery.id).where(*within, *others).order_by(Delivery.id.desc()).limit(limit + 1)
    found = connection.execute(ids).scalars().all()
    # The conditions once more: a delivery may have moved on between the two statements.
    rows = _rows(connection, found[:limit], *within, *others)
    if len(found) > limit:
        return Page(rows, found[limit - 1])
    return Page(rows, floor, instant_of(floor) if floor else None)


def find_delivery(connection: Connection, delivery_id: UUID) -> DeliveryRow | None:
    """Return the delivery row of an id; None if there is none."""
    return next(iter(_rows(connection, [delivery_id])), None)


def deliveries_of(connection: Connection, event_id: UUID, *, limit: int) -> Sequence[DeliveryRow]:
    """Return the newest deliveries of an event, up to `limit`, in ascending order."""
    return list_deliveries(connection, Selection(event=event_id), limit=limit).rows[::-1]


def attempts_of(connection: Connection, delivery_id: UUID) -> list[Json]:
    """Return the attempts of a delivery as JSON, in order of their number."""
    statement = (
        select(*[getattr(Attempt, name) for name in _ATTEMPT])
        .where(Attempt.delivery_id == delivery_id)
        .order_by(Attempt.n)
    )
    return [json_of(row, _ATTEMPT) for row in connection.execute(statement)]


def count_open(connection: Connection, event_ids: Sequence[UUID]) -> int:
    """Return the number of unfinished deliveries of these events (unknown outcomes not counted)."""
    open_states = ("waiting", "pending", "running", "retrying")
    counted = select(func.count()).where(
        Delivery.event_id.in_(event_ids), Delivery.state.in_(open_states)
    )
    return connection.execute(counted).scalar_one()


def events_of(connection: Connection, ids: Iterable[UUID]) -> Mapping[UUID, EventRow]:
    """Return the event rows with these ids, by id; rows have the fields that summaries name."""
    statement = select_event_rows(connection, StoredEvent).where(StoredEvent.id.in_(set(ids)))
    rows = connection.execute(statement).all()
    return {row.id: event_row(connection, row) for row in rows}


def counts(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """Return the number of deliveries by state (those in `COUNTED`) and destination.

    Only the newest `MOST_COUNTED + 1` deliveries of each state are counted.
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
    """Return the id of the last delivery that is scanned for a page; None if all are scanned."""
    return connection.execute(
        select(Delivery.id).where(*within).order_by(Delivery.id.desc()).offset(WINDOW).limit(1)
    ).scalar_one_or_none()


def _rows(
    connection: Connection, ids: Sequence[UUID], *conditions: ColumnElement[bool]
) -> list[DeliveryRow]:
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
        .where(Delivery.id.in_(ids), *conditions)
        .order_by(Delivery.id.desc())
    )
    return [DeliveryRow(**row._mapping) for row in connection.execute(statement)]
