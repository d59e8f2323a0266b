"""Full-text queries: events by words, newest first, in bounded steps back in time.

Common words are found among the newest events, rare ones by the word index, partition by
partition. So no query reads the whole table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.sql.expression import cast

from hub.core.ids import LAST_ID
from hub.core.models.events import event_search, event_search_fts
from hub.core.search.indexer import (
    SAME_MOMENT_BITS,
    first_of_partition,
    moment_of,
    partition_of,
    partition_word,
    row_id_of,
)
from hub.core.search.tokenizer import Term

# Maximum number of events returned by one step.
STEP = 250
# (events scanned, matches required) of each step that scans the newest events. A step that fills a
# page is repeated, one with too few matches ends the scan; from there on the word index is used,
# which reads every match.
NEWEST_FIRST_STEPS = ((2000, 8), (4000, 15), (16000, STEP))
# Number of partitions (`PARTITION_DAYS` each) by which each further step goes back.
PARTITION_SPANS = (1, 4, 16)
# A step that spans more partitions than this queries the index without naming them.
MOST_PARTITIONS = 64

_event_id, _words = event_search.c.event_id, event_search.c.words
_below = _event_id < bindparam("below", Uuid)
_most: BindParameter[int] = bindparam("most", Integer)


def _have(words: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return words.op("@@")(cast(bindparam(name, Text), TSQUERY))


def _walk() -> Select[Any]:
    """Return the statement that scans the newest events.

    Its row has the matching ids, the id down to which it scanned (None: to the end), and the oldest
    id of the table.
    """
    looked: BindParameter[int] = bindparam("looked", Integer)
    newest = select(_event_id, _words).where(_below).order_by(_event_id.desc()).limit(looked)
    last = select(_event_id).where(_below).order_by(_event_id.desc()).offset(looked - 1).limit(1)
    oldest = select(_event_id).order_by(_event_id).limit(1)
    through = newest.subquery("newest")
    found = select(through.c.event_id).where(_have(through.c.words, "wanted"))
    found = found.order_by(through.c.event_id.desc()).limit(_most)
    ids = func.array(found.scalar_subquery(), type_=ARRAY(Uuid))
    return select(ids, last.scalar_subquery(), oldest.scalar_subquery())


def _by_index(*conditions: ColumnElement[bool]) -> Select[UUID]:
    """Return the statement that reads the newest matches from the word index.

    The CTE is materialized: a planner that expects to meet enough matches soon among the newest
    events would scan the whole table instead.
    """
    found = select(_event_id).where(_have(_words, "wanted"), _below, *conditions).cte("found")
    found = found.prefix_with("MATERIALIZED")
    return select(found.c.event_id).order_by(found.c.event_id.desc()).limit(_most)


# Built once: building the statements for each step took longer than PostgreSQL took to run them.
#
# The partitions are a separate condition: inside the other one, the index takes five times as long,
# because it reads entries that it could skip.
_WALK, _EVER, _IN_PARTITIONS = _walk(), _by_index(), _by_index(_have(_words, "partitions"))


@dataclass(frozen=True, slots=True)
class SearchStep:
    """Page of one step: matching ids, newest first, and the id down to which it has searched.

    `looked_to` is None once the search has reached the oldest event.
    """

    ids: Sequence[UUID]
    looked_to: UUID | None


def find_page(
    connection: Connection,
    terms: Sequence[Term],
    *,
    before: UUID | None = None,
    since: UUID | None = None,
) -> Iterator[SearchStep]:
    """Yield pages of events that match all terms, each page older than the one before.

    Events older than `since` may be among them, but are not searched for.
    """
    if connection.dialect.name == "postgresql":
        return _postgresql(connection, _tsquery(terms), before or LAST_ID, since)
    return _sqlite(connection, terms, before)


def find_rare(connection: Connection, term: Term, *, most: int) -> Sequence[UUID]:
    """Return the newest `most` of all events that match a rare term."""
    if connection.dialect.name == "postgresql":
        asked = {"wanted": _tsquery([term]), "below": LAST_ID, "most": most}
        return connection.execute(_EVER, asked).scalars().all()
    return next(_sqlite(connection, [term], None)).ids[:most]


def _postgresql(
    connection: Connection, wanted: str, before: UUID, since: UUID | None
) -> Iterator[SearchStep]:
    floor: UUID | None = before
    walk = 0
    while True:
        looked, enough = NEWEST_FIRST_STEPS[walk]
        asked = {"wanted": wanted, "below": floor, "looked": looked, "most": STEP}
        ids, last, oldest = connection.execute(_WALK, asked).one()
        is_common = len(ids) == STEP
        floor = ids[-1] if is_common else last
        yield SearchStep(ids, floor)
        if floor is None:
            return
        if not is_common:
            if len(ids) < enough:
                break
            walk += 1
    first_partition = partition_of(max(filter(None, (oldest, since)), default=floor))
    span = 0
    while floor is not None:
        partition = partition_of(floor)
        last_partition = (
            max(first_partition, partition - PARTITION_SPANS[span] + 1)
            if span < len(PARTITION_SPANS)
            else first_partition
        )
        asked = {"wanted": wanted, "below": floor, "most": STEP}
        if partition - last_partition < MOST_PARTITIONS:
            partitions = " | ".join(
                f"'{partition_word(one)}'" for one in range(last_partition, partition + 1)
            )
            found = connection.execute(_IN_PARTITIONS, asked | {"partitions": partitions})
        else:
            found = connection.execute(_EVER, asked)
        ids = found.scalars().all()
        if len(ids) == STEP:
            floor = ids[-1]
        else:
            span += 1
            floor = (
                None if last_partition <= first_partition else first_of_partition(last_partition)
            )
        yield SearchStep(ids, floor)


def _sqlite(
    connection: Connection, terms: Sequence[Term], before: UUID | None
) -> Iterator[SearchStep]:
    table = event_search_fts
    found = (
        select(table.c.rowid, table.c.event_id)
        .where(table.c.event_search.op("MATCH")(_fts_query(terms)))
        .order_by(table.c.rowid.desc())
        .limit(STEP)
    )
    below = None
    if before:
        known = row_id_of(connection, before)
        below = (moment_of(before) << SAME_MOMENT_BITS) if known is None else known
    while True:
        rows = connection.execute(found if below is None else found.where(table.c.rowid < below))
        page = rows.all()
        below = page[-1].rowid if page else None
        floor = page[-1].event_id if len(page) == STEP else None
        yield SearchStep([row.event_id for row in page], floor)
        if floor is None:
            return


def _tsquery(terms: Sequence[Term]) -> str:
    return " & ".join(f"({' | '.join(_lexemes(term))})" for term in terms)


def _lexemes(term: Term) -> Iterator[str]:
    for word in term.words:
        quoted = word.replace("\\", "\\\\").replace("'", "''")
        yield f"'{quoted}'{':*' if term.prefix else ''}"


def _fts_query(terms: Sequence[Term]) -> str:
    return " AND ".join(f"({' OR '.join(_phrases(term))})" for term in terms)


def _phrases(term: Term) -> Iterator[str]:
    """Yield the words of a term as quoted FTS5 strings; no word contains a quote."""
    for word in term.words:
        yield f'"{word}"{"*" if term.prefix else ""}'
