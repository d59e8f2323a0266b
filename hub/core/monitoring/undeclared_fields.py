"""Undeclared fields of a form: the names that posts had and `fields` does not, counted by source.

Anybody may post any name. So a name is cut, a process remembers `MOST_REMEMBERED` names of a source
between two writes, and the database has `MOST_KEPT` of each source: those of the most posts. One
that no post had for `FORGOTTEN_AFTER` is deleted when the next ones are written.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from adapters.contract.strict_json import storable_text
from hub.core.models import SourceState, UndeclaredField

MOST_KEPT = 50
MOST_REMEMBERED = 500
# Names of one post; a form on a page has a few that hub.yaml does not declare.
MOST_OF_A_POST = 50
LONGEST_NAME = 64
FORGOTTEN_AFTER = timedelta(days=90)

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class UndeclaredNames:
    """Names of one source that are not yet written to the database, with the number of posts."""

    posts: Counter[str] = field(default_factory=Counter)
    last_seen_at: datetime = _NEVER

    def note(self, names: Iterable[str], at: datetime) -> None:
        """Count the names of one post, each once."""
        some = islice(filter(None, names), MOST_OF_A_POST)
        cut = {storable_text(name[:LONGEST_NAME]) for name in some}
        known = {name for name in cut if name in self.posts}
        room = MOST_REMEMBERED - len(self.posts)
        self.posts.update([*known, *sorted(cut - known)[:room]])
        self.last_seen_at = at


@dataclass(frozen=True, slots=True)
class UndeclaredCount:
    """Undeclared field of a form: its name, the number of posts that had it, and the last time."""

    name: str
    posts: int
    last_seen_at: datetime


def add_undeclared(connection: Connection, source: str, news: UndeclaredNames) -> None:
    """Add the counts of one source's names; delete what is old, and the rarest beyond the limit.

    Must be called in a transaction in which the row of the source's state is there: it is locked,
    so that two processes write the names of one source one after the other.
    """
    connection.execute(
        select(SourceState.source).where(SourceState.source == source).with_for_update()
    )
    insert: Any = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    rows = [
        {"source": source, "name": name, "posts": posts, "last_seen_at": news.last_seen_at}
        for name, posts in news.posts.most_common(MOST_KEPT)
    ]
    statement = insert(UndeclaredField).values(rows)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "name"],
            set_={
                "posts": UndeclaredField.posts + statement.excluded.posts,
                "last_seen_at": statement.excluded.last_seen_at,
            },
        )
    )
    old = UndeclaredField.last_seen_at < news.last_seen_at - FORGOTTEN_AFTER
    of_source = delete(UndeclaredField).where(UndeclaredField.source == source)
    connection.execute(of_source.where(old))
    beyond = _most_frequent(source).offset(MOST_KEPT).limit(2 * MOST_KEPT)
    if names := [row.name for row in connection.execute(beyond)]:
        connection.execute(of_source.where(UndeclaredField.name.in_(names)))


def undeclared_fields(
    connection: Connection, source: str, *, declared: Collection[str]
) -> list[UndeclaredCount]:
    """Return the undeclared fields of a form, those of the most posts first.

    `declared` are the names that it declares by now.
    """
    rows = connection.execute(_most_frequent(source).limit(MOST_KEPT))
    found = (UndeclaredCount(row.name, row.posts, row.last_seen_at) for row in rows)
    return [one for one in found if one.name not in declared]


def _most_frequent(source: str) -> Any:
    return (
        select(UndeclaredField.name, UndeclaredField.posts, UndeclaredField.last_seen_at)
        .where(UndeclaredField.source == source)
        .order_by(
            UndeclaredField.posts.desc(), UndeclaredField.last_seen_at.desc(), UndeclaredField.name
        )
    )
