"""What a list of events is filtered by, and what that asks of an event's columns."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from hub.core.board.search import Query


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows; None is everything. `type` may be a glob: `payment.*`."""

    source: str | None = None
    type: str | None = None
    state: str | None = None
    contact: UUID | None = None
    live: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    query: Query | None = None


def conditions_of(columns: Any, filters: Filters) -> list[ColumnElement[bool]]:
    """Return what its columns must say; when it came and what is searched for are not of these."""
    wanted: list[ColumnElement[bool]] = [
        getattr(columns, name) == getattr(filters, name)
        for name in ("source", "state", "live")
        if getattr(filters, name) is not None
    ]
    if filters.contact:
        wanted.append(columns.contact_id == filters.contact)
    if filters.type and "*" in filters.type:
        pattern = filters.type.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        wanted.append(columns.type.like(pattern.replace("*", "%"), escape="\\"))
    elif filters.type:
        wanted.append(columns.type == filters.type)
    return wanted
