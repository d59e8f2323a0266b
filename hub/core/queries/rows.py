"""Keyset pages, and the JSON of a row; every list of the read side is made of these two.

A page begins below an id and not at an offset: rows that arrive meanwhile move nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from adapters.contract.fields import rfc3339

# Rows of one list of the command line, at most.
MOST_ROWS = 1000

Row = TypeVar("Row")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first, and the id below which the next page begins; None: there is no more.

    `looked_to`: the page is not full, and nothing older than this was looked at; a page costs a
    bounded amount of work, whether it finds something or not.
    """

    rows: Sequence[Row]
    older: UUID | None = None
    looked_to: datetime | None = None


def first_rows(
    list_page: Callable[[int, UUID | None], Page[Row]], *, limit: int, before: UUID | None = None
) -> list[Row]:
    """Return the newest rows below `before`, up to `limit`, through as many pages as that takes.

    `list_page` takes how many rows are wanted, and the id below which they begin.
    """
    rows: list[Row] = []
    while True:
        page = list_page(limit - len(rows), before)
        rows += page.rows
        if page.older is None or len(rows) >= limit:
            return rows
        before = page.older


def page_of(rows: Sequence[Any], limit: int) -> Page[Any]:
    """Return the page of a statement that asked for one row more than `limit`."""
    shown = rows[:limit]
    return Page(shown, shown[-1].id if len(rows) > limit else None)


def json_of(row: object, names: Sequence[str], **renamed: str) -> Json:
    """Return the named attributes of a row as JSON has them: ids as text, times in RFC 3339.

    `renamed` are names of the JSON, each with the attribute that it is taken from.
    """
    return {name: _plain(getattr(row, renamed.get(name, name))) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return dict(value) if isinstance(value, Mapping) else value
