"""Source counters: requests by verdict, last verified request, last refusal and its reason.

Also the names of fields that a form does not declare.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, update

from hub.core.models import RequestState, SourceState, insert_if_new
from hub.core.monitoring.undeclared_fields import UndeclaredNames, add_undeclared

_COLUMNS = {
    RequestState.ACCEPTED: "accepted",
    RequestState.DUPLICATE: "duplicates",
    RequestState.UNREADABLE: "unreadable",
    RequestState.REJECTED: "rejected",
}


@dataclass(slots=True)
class SourceNews:
    """Counts and times of a source that are not yet written to the database."""

    counts: Counter[RequestState] = field(default_factory=Counter)
    last_verified_at: datetime | None = None
    last_rejected_at: datetime | None = None
    last_rejected_reason: str | None = None
    undeclared: UndeclaredNames = field(default_factory=UndeclaredNames)


def add_up(connection: Connection, news: Mapping[str, SourceNews]) -> None:
    """Add the counts to the rows of the sources."""
    # Sorted, so that two processes lock the rows in one order.
    for source in sorted(news):
        connection.execute(insert_if_new(connection, SourceState).values(source=source))
        fresh = news[source]
        values: dict[str, object] = {
            column: getattr(SourceState, column) + fresh.counts[state]
            for state, column in _COLUMNS.items()
            if fresh.counts[state]
        }
        if fresh.last_verified_at:
            values["last_verified_at"] = fresh.last_verified_at
        if fresh.last_rejected_at:
            values["last_rejected_at"] = fresh.last_rejected_at
            values["last_rejected_reason"] = fresh.last_rejected_reason
        if values:
            connection.execute(
                update(SourceState).where(SourceState.source == source).values(**values)
            )
        if fresh.undeclared.posts:
            add_undeclared(connection, source, fresh.undeclared)
