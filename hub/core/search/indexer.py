"""Search index projection: writes the words of stored events, newest first, each event once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Row, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql

from adapters import EVENT_TYPES
from hub.core.models import StoredEvent
from hub.core.models.events import event_search, event_search_fts
from hub.core.search.tokenizer import words_of

PARTITION_DAYS = 16
# Bits of SQLite's row ids that tell events of the same millisecond apart.
SAME_MOMENT_BITS = 15

_MS_OF_DAY = 86_400_000


def index_some(connection: Connection, *, most: int) -> int:
    """Index up to `most` events that are not indexed yet, newest first; return their number."""
    columns = (StoredEvent.id, StoredEvent.type, StoredEvent.source, StoredEvent.external_id,
               StoredEvent.data)  # fmt: skip
    rows = connection.execute(
        select(*columns)
        .where(~StoredEvent.indexed)
        .order_by(StoredEvent.id.desc())
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        write = _postgresql if connection.dialect.name == "postgresql" else _sqlite
        write(connection, rows)
        ids = [row.id for row in rows]
        connection.execute(update(StoredEvent).where(StoredEvent.id.in_(ids)).values(indexed=True))
    return len(rows)


def partition_of(event_id: UUID) -> int:
    """Return the partition of an event, the number of its `PARTITION_DAYS` span since 1970."""
    return moment_of(event_id) // (_MS_OF_DAY * PARTITION_DAYS)


def partition_word(partition: int) -> str:
    """Return the index word of a partition, which no search text yields."""
    return f"~{partition}"


def first_of_partition(partition: int) -> UUID:
    """Return a lower bound for the event ids of a partition."""
    return UUID(int=partition * _MS_OF_DAY * PARTITION_DAYS << 80)


def moment_of(event_id: UUID) -> int:
    """Return the timestamp of a UUIDv7, in milliseconds since 1970."""
    return event_id.int >> 80


def row_id_of(connection: Connection, event_id: UUID) -> int | None:
    """Return the row id of an event in the FTS5 table; None if it is not indexed."""
    first = moment_of(event_id) << SAME_MOMENT_BITS
    return connection.execute(
        select(event_search_fts.c.rowid).where(
            event_search_fts.c.rowid >= first,
            event_search_fts.c.rowid < first + (1 << SAME_MOMENT_BITS),
            event_search_fts.c.event_id == event_id,
        )
    ).scalar_one_or_none()


def _words(row: Row[tuple[UUID, str, str, str, dict[str, object] | None]]) -> list[str]:
    data = dict(row.data or {})
    if row.type in EVENT_TYPES:
        data.pop("native", None)
    return words_of(row.type, row.source, row.external_id, data)


def _postgresql(connection: Connection, rows: Sequence[Row]) -> None:  # type: ignore[type-arg]
    words = bindparam("lexemes", type_=postgresql.ARRAY(Text))
    new = postgresql.insert(event_search).values(
        event_id=bindparam("id"), words=func.array_to_tsvector(words)
    )
    connection.execute(
        new.on_conflict_do_update(index_elements=["event_id"], set_={"words": new.excluded.words}),
        [
            {"id": row.id, "lexemes": [*_words(row), partition_word(partition_of(row.id))]}
            for row in rows
        ],
    )


def _sqlite(connection: Connection, rows: Sequence[Row]) -> None:  # type: ignore[type-arg]
    for row in sorted(rows, key=lambda row: row.id):
        known = row_id_of(connection, row.id)
        if known is not None:
            connection.execute(delete(event_search_fts).where(event_search_fts.c.rowid == known))
        row_id = _free_row(connection, row.id) if known is None else known
        values = {"rowid": row_id, "event_id": row.id, "words": " ".join(_words(row))}
        connection.execute(insert(event_search_fts).values(values))


def _free_row(connection: Connection, event_id: UUID) -> int:
    first = moment_of(event_id) << SAME_MOMENT_BITS
    last = connection.execute(
        select(func.max(event_search_fts.c.rowid)).where(
            event_search_fts.c.rowid >= first,
            event_search_fts.c.rowid < first + (1 << SAME_MOMENT_BITS),
        )
    ).scalar_one()
    return first if last is None else int(last) + 1
