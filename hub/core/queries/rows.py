"""Keyset pagination and the JSON form of rows, for all lists of the read side.

A page begins below an id, not at an offset, so that rows which arrive meanwhile do not shift it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from adapters.contract.fields import rfc3339

# Maximum number of rows in one list of the command line.
MOST_ROWS = 1000

Row = TypeVar("Row")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Page of rows, newest first, with the keyset cursor of the next page.

    `older` is the id below which the next page begins, None on the last page. `looked_to` is set
    if the page is not full because its work limit was reached: no row older than that time was
    scanned. The limit bounds the cost of a page, however few rows match.
    """

    rows: Sequence[Row]
    older: UUID | None = None
    looked_to: datetime | None = None


def first_rows(
    list_page: Callable[[int, UUID | None], Page[Row]], *, limit: int, before: UUID | None = None
) -> list[Row]:
    """Return the newest rows below `before`, up to `limit`, from as many pages as needed.

    `list_page` is called with the number of rows still needed and the id below which they begin.
    """
    rows: list[Row] = []
    while True:
        page = list_page(limit - len(rows), before)
        rows += page.rows
        if page.older is None or len(rows) >= limit:
            return rows
        before = page.older


def page_of(rows: Sequence[Any], limit: int) -> Page[Any]:
    """Return the page of up to `limit` rows, from the result of a query for `limit + 1` rows."""
    shown = rows[:limit]
    return Page(shown, shown[-1].id if len(rows) > limit else None)


def json_of(row: object, names: Sequence[str], **renamed: str) -> Json:
    """Return the named attributes of a row as JSON values: ids as text, times in RFC 3339.

    `renamed` maps a JSON name to the attribute that holds its value, where the two differ.
    """
    return {name: _plain(getattr(row, renamed.get(name, name))) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return dict(value) if isinstance(value, Mapping) else value
