"""Search index projection: writes the words of stored events, newest first, each event once."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    Text,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.base import Executable

from adapters import EVENT_TYPES
from hub.core.models import StoredEvent
from hub.core.models.events import event_search, event_search_fts
from hub.core.pipeline import StatementForRows, pipeline_of, write_rows
from hub.core.search.tokenizer import words_of

PARTITION_DAYS = 16
# Bits of SQLite's row ids that tell events of the same millisecond apart.
SAME_MOMENT_BITS = 15

_MS_OF_DAY = 86_400_000


def index_some(connection: Connection, *, most: int) -> int:
    """Index up to `most` events that are not indexed yet, newest first; return their number.

    Events that another transaction has locked are left to it, or to the next time.
    """
    columns = (StoredEvent.id, StoredEvent.type, StoredEvent.source, StoredEvent.external_id,
               StoredEvent.data)  # fmt: skip
    rows = connection.execute(
        select(*columns)
        .where(~StoredEvent.indexed)
        .order_by(StoredEvent.id.desc())
        .limit(most)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    if rows:
        write_words(connection, {row.id: event_words(row) for row in rows})
        ids = [row.id for row in rows]
        connection.execute(update(StoredEvent).where(StoredEvent.id.in_(ids)).values(indexed=True))
    return len(rows)


def oldest_unindexed(connection: Connection) -> UUID | None:
    """Return the oldest event that is not indexed yet; None if there is none."""
    oldest = select(StoredEvent.id).where(~StoredEvent.indexed).order_by(StoredEvent.id).limit(1)
    return connection.execute(oldest).scalar_one_or_none()


def event_words(row: Row[Any]) -> list[str]:
    """Return the index words of an event: of its type, source, external id and canonical data."""
    data = dict(row.data or {})
    if row.type in EVENT_TYPES:
        data.pop("native", None)
    return words_of(row.type, row.source, row.external_id, data)


def write_words(connection: Connection, words: Mapping[UUID, Sequence[str]]) -> None:
    """Write the words of events, in place of those that they may have in the index."""
    write = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    write(connection, words)


def delete_words(connection: Connection, event_ids: Sequence[UUID]) -> None:
    """Delete the words of events."""
    if connection.dialect.name == "postgresql":
        pipeline_of(connection).add(_DELETE_ALL_WORDS, {"ids": event_ids})
        return
    moments = {moment_of(one): one for one in event_ids}
    taken = {
        name: row for one in moments.values() for name, row in _same_moment(connection, one).items()
    }
    for row_id in (taken[one] for one in event_ids if one in taken):
        connection.execute(_DELETE_WORDS, {"row_id": row_id})


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
    return _same_moment(connection, event_id).get(event_id)


def _same_moment(connection: Connection, event_id: UUID) -> dict[UUID, int]:
    """Return the row ids of the indexed events of one millisecond."""
    first = moment_of(event_id) << SAME_MOMENT_BITS
    found = connection.execute(
        _SAME_MOMENT, {"first": first, "end": first + (1 << SAME_MOMENT_BITS)}
    )
    return {row.event_id: row.rowid for row in found}


def _postgresql(connection: Connection, words: Mapping[UUID, Sequence[str]]) -> None:
    rows = [
        {"event_id": event_id, "words": [*found, partition_word(partition_of(event_id))]}
        for event_id, found in words.items()
    ]
    write_rows(connection, _WRITE_WORDS, rows)


def _sqlite(connection: Connection, words: Mapping[UUID, Sequence[str]]) -> None:
    rows = []
    moment, taken = -1, dict[UUID, int]()
    for event_id in sorted(words):
        if moment_of(event_id) != moment:
            moment, taken = moment_of(event_id), _same_moment(connection, event_id)
        row_id = taken.get(event_id)
        if row_id is None:
            row_id = max(taken.values(), default=(moment << SAME_MOMENT_BITS) - 1) + 1
            taken[event_id] = row_id
        else:
            connection.execute(_DELETE_WORDS, {"row_id": row_id})
        rows.append({"rowid": row_id, "event_id": event_id, "words": " ".join(words[event_id])})
    connection.execute(insert(event_search_fts), rows)


def _upsert(row: Any) -> Executable:
    new = postgresql.insert(event_search).from_select(
        ["event_id", "words"], select(row["event_id"], func.array_to_tsvector(row["words"]))
    )
    return new.on_conflict_do_update(
        index_elements=["event_id"], set_={"words": new.excluded.words}
    )


_WRITE_WORDS = StatementForRows(
    _upsert, {"event_id": event_search.c.event_id.type, "words": postgresql.ARRAY(Text)}
)
_rows = event_search_fts.c
_SAME_MOMENT = select(_rows.rowid, _rows.event_id).where(
    _rows.rowid >= bindparam("first"), _rows.rowid < bindparam("end")
)
_DELETE_ALL_WORDS = delete(event_search).where(
    event_search.c.event_id == any_(bindparam("ids", type_=postgresql.ARRAY(Uuid)))
)
_DELETE_WORDS = delete(event_search_fts).where(_rows.rowid == bindparam("row_id"))
