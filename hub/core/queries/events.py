"""List of events: filtered or searched, newest first, with a bounded cost per page.

Conditions that an index serves are read from the index; the others are checked in steps. A page
that reaches its work limit before it is full reports how far it scanned, and the next one
continues there.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    false,
    literal_column,
    select,
    tuple_,
    union_all,
)

from hub.core.ids import FIRST_ID, LAST_ID, first_id, instant_of
from hub.core.models import EventState, StoredEvent
from hub.core.queries.event_rows import (
    MOST_TYPES,
    EventFilter,
    EventRow,
    add_delivery_counts,
    event_row,
    is_one_of,
    select_event_rows,
    types_seen,
)
from hub.core.queries.rows import Page
from hub.core.search.search import Query, steps

MOST_STEPS = 10
# Number of search matches after which a page stops checking the other filters.
MOST_FOUND = 1000
MOST_WALKS, WALKED_ROWS = 4, 2000
MOST_MERGED = 40

# Restricts a SELECT to an index scan: descending, from below one id (exclusive) down to another
# (inclusive). Called with the statement, the lower id and the upper id.
IndexScan = Callable[[Select[Any], UUID, UUID], Select[Any]]

# States that have a partial index, with the condition as the index states it.
_BY_STATE = {
    EventState.HELD: "state = 'held'",
    EventState.INCOMPLETE: "state = 'incomplete'",
    EventState.UNMATCHED: "state = 'unmatched'",
}
# Rows found by a step, and the id down to which it scanned (None: to the end).
Found = tuple[list[EventRow], UUID | None]
Conditions = Sequence[ColumnElement[bool]]


def list_events(
    connection: Connection, filters: EventFilter, *, most: int, before: UUID | None = None
) -> Page[EventRow]:
    """Return a page of up to `most` events, newest first, older than `before`."""
    if filters.until:
        before = min(filter(None, (before, first_id(filters.until))))
    rows: list[EventRow] = []
    floor: UUID | None = before
    look = _scan if filters.query is None else _searched
    for found, looked_to in look(connection, filters, before=before, most=most + 1):
        rows += found
        floor = looked_to
        if len(rows) > most:
            break
    shown = add_delivery_counts(connection, rows[:most])
    if len(rows) > most:
        return Page(shown, shown[-1].id)
    return Page(shown, floor, instant_of(floor) if floor else None)


def list_newer(
    connection: Connection, filters: EventFilter, *, after: UUID, most: int
) -> list[EventRow]:
    """Return events newer than `after`, newest first; if more than `most`, the oldest of them."""
    found = (
        select_event_rows(connection, StoredEvent)
        .where(StoredEvent.id > after, *filters.conditions(StoredEvent))
        .order_by(StoredEvent.id)
        .limit(most)
    )
    rows = [event_row(connection, row) for row in connection.execute(found)]
    return add_delivery_counts(connection, rows[::-1])


def find_event_id(connection: Connection, source: str, external_id: str) -> UUID | None:
    """Return the id of a source's newest event with a provider's id; None if there is none."""
    return connection.execute(
        select(StoredEvent.id)
        .where(StoredEvent.source == source, StoredEvent.external_id == external_id)
        .order_by(StoredEvent.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _searched(
    connection: Connection, filters: EventFilter, *, before: UUID | None, most: int
) -> Iterator[Found]:
    """Yield the events that a search finds and how far it scanned, per `most` ids and at the end.

    Words are indexed in another table than the events, so the matches of several steps are read
    from the events in one statement.
    """
    conditions = filters.conditions(StoredEvent)
    since = first_id(filters.since) if filters.since else FIRST_ID
    query = filters.query or Query("", ())
    waiting: list[UUID] = []
    looked_at = 0
    for n, step in enumerate(steps(connection, query, before=before, since=since), start=1):
        ids = [one for one in step.ids if one >= since]
        waiting += ids
        looked_at += len(ids)
        floor = step.looked_to if step.looked_to and step.looked_to >= since else None
        is_last = floor is None or n == MOST_STEPS or looked_at >= MOST_FOUND
        if is_last or len(waiting) >= most:
            yield _read(connection, waiting, conditions, most), floor
            waiting = []
        if is_last:
            return


def _read(
    connection: Connection,
    ids: Sequence[UUID],
    conditions: Sequence[ColumnElement[bool]],
    most: int,
) -> list[EventRow]:
    """Return the newest of these events that meet the conditions, up to `most`.

    Without conditions all of them match, so that no more than `most` ids are read, unless an event
    does not exist any more.
    """
    rows: list[EventRow] = []
    size = max(most, len(ids)) if conditions else most
    for n in range(0, len(ids), size):
        wanted = is_one_of(connection, StoredEvent.id, ids[n : n + size])
        found = select_event_rows(connection, StoredEvent).where(wanted, *conditions)
        found = found.order_by(StoredEvent.id.desc()).limit(most - len(rows))
        rows += [event_row(connection, row) for row in connection.execute(found)]
        if len(rows) == most:
            break
    return rows


def _scan(
    connection: Connection, filters: EventFilter, *, before: UUID | None, most: int
) -> Iterator[Found]:
    """Yield the events found by an index scan, step by step, and how far each step scanned."""
    ways, is_all = _choose_index(connection, filters)
    since = first_id(filters.since) if filters.since else FIRST_ID
    floor = before or LAST_ID
    for _ in range(MOST_WALKS):
        looked = _merge(connection, ways, since, floor, most if is_all else WALKED_ROWS)
        found = select(looked).where(*([] if is_all else filters.conditions(looked.c)))
        rows = connection.execute(found.order_by(looked.c.id.desc()).limit(most)).all()
        last = None
        if len(rows) < most and not is_all:
            nth = select(looked.c.id).order_by(looked.c.id.desc()).offset(WALKED_ROWS - 1).limit(1)
            last = connection.execute(nth).scalar_one_or_none()
        yield [event_row(connection, row) for row in rows], last
        if last is None:
            return
        floor = last


def _choose_index(connection: Connection, filters: EventFilter) -> tuple[Sequence[IndexScan], bool]:
    """Return the index scans for a filter, and whether they cover all of its column conditions."""
    wanted = {name for name in ("source", "type", "state", "external_id", "contact", "live")
              if getattr(filters, name) is not None}  # fmt: skip
    if filters.external_id and "*" not in filters.external_id:
        return [_by_value(StoredEvent.external_id, filters.external_id)], wanted == {"external_id"}
    if filters.contact:
        return [_by_column(StoredEvent.contact_id, filters.contact)], wanted == {"contact"}
    if filters.state in _BY_STATE:
        return [_by_condition(_BY_STATE[EventState(filters.state)])], wanted == {"state"}
    if filters.live is False:
        return [_by_condition("NOT live")], wanted == {"live"}
    if filters.type and (types := _types(connection, filters.type)) is not None:
        return [_by_column(StoredEvent.type, one) for one in types], wanted == {"type"}
    if filters.source and "*" not in filters.source:
        return [_by_column(StoredEvent.source, filters.source)], wanted == {"source"}
    return [_by_condition("1 = 1")], not wanted


def _by_column(column: Any, value: Any) -> IndexScan:
    """Return the scan of an index on a column and the id, for one value of the column.

    Column and id are compared as one key, so that no planner uses the index of ids instead: for a
    value that was common once and is rare since, that would scan all newer rows.
    """
    types = [column.type, StoredEvent.id.type]
    key = tuple_(column, StoredEvent.id)

    def read(statement: Select[Any], since: UUID, before: UUID) -> Select[Any]:
        low, high = tuple_(value, since, types=types), tuple_(value, before, types=types)
        return statement.where(key >= low, key < high).order_by(
            column.desc(), StoredEvent.id.desc()
        )

    return read


def _by_value(column: Any, value: Any) -> IndexScan:
    """Return the scan of an index on a nearly unique column, for one value of it."""

    def read(statement: Select[Any], since: UUID, before: UUID) -> Select[Any]:
        ids = StoredEvent.id
        return statement.where(column == value, ids >= since, ids < before).order_by(ids.desc())

    return read


def _by_condition(condition: str) -> IndexScan:
    """Return the scan of a partial index of ids, by the condition of the index."""

    def read(statement: Select[Any], since: UUID, before: UUID) -> Select[Any]:
        ids = StoredEvent.id
        return statement.where(literal_column(condition), ids >= since, ids < before).order_by(
            ids.desc()
        )

    return read


def _types(connection: Connection, wanted: str) -> list[str] | None:
    """Return the types that a glob matches; None if there are too many for one scan per type."""
    if "*" not in wanted:
        return [wanted]
    seen = types_seen(connection)
    pattern = wanted.replace("[", "[[]").replace("?", "[?]")
    # As LIKE does it there: SQLite's ignores the case of ASCII letters.
    plain = str.lower if connection.dialect.name == "sqlite" else str
    found = [one for one in seen if fnmatchcase(plain(one), plain(pattern))]
    return found if len(seen) < MOST_TYPES and len(found) <= MOST_MERGED else None


def _merge(
    connection: Connection, ways: Sequence[IndexScan], since: UUID, before: UUID, size: int
) -> Subquery:
    """Return the newest `size` rows of all scans, merged; the scans have no row in common."""
    wanted = select_event_rows(connection, StoredEvent)
    each = [way(wanted, since, before).limit(size) for way in ways]
    if not each:
        return wanted.where(false()).subquery()
    if len(each) == 1:
        return each[0].subquery()
    apart = union_all(*[select(one.subquery()) for one in each]).subquery()
    return select(apart).order_by(apart.c.id.desc()).limit(size).subquery()
