"""Leads that are held, with what a person needs to see whether they are real."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal_column, select

from hub.core.models import EventState, StoredEvent


def list_held(
    connection: Connection, *, limit: int, before: UUID | None = None
) -> Sequence[Row[Any]]:
    """Return what is held, the newest first: `id source received_at held_reason data`."""
    statement = select(
        StoredEvent.id,
        StoredEvent.source,
        StoredEvent.received_at,
        StoredEvent.held_reason,
        StoredEvent.data,
    ).where(StoredEvent.state == literal_column(f"'{EventState.HELD}'"))
    if before:
        statement = statement.where(StoredEvent.id < before)
    found: Sequence[Any] = connection.execute(
        statement.order_by(StoredEvent.id.desc()).limit(limit)
    ).all()
    return found
