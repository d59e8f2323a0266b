"""Events found by words: the newest first, in bounded steps back through time.

A word that is common is found among the newest events; a rare one by the index, span by span.
So neither reads all that there is.
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

# So many events are found in one step.
STEP = 250
# So many of the newest are looked through in a step, and another such step follows if so many were
# found in it; then the index is asked, which reads all that it finds.
NEWEST_FIRST_STEPS = ((2000, 8), (4000, 15), (16000, STEP))
# How many eras (`ERA_DAYS`) each further step goes back.
PARTITION_SPANS = (1, 4, 16)
MOST_ERAS = 64

_event_id, _words = event_search.c.event_id, event_search.c.words
_below = _event_id < bindparam("below", Uuid)
_most: BindParameter[int] = bindparam("most", Integer)


def _have(words: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return words.op("@@")(cast(bindparam(name, Text), TSQUERY))


def _walk() -> Select[Any]:
    """Look through the newest: the ids that are found, how far that was (None: all there are), and
    the oldest id.
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
    """Return the newest of what the index of words finds: a planner that hopes to meet them soon
    among the newest events would look through all that there are.
    """
    found = select(_event_id).where(_have(_words, "wanted"), _below, *conditions).cte("found")
    found = found.prefix_with("MATERIALIZED")
    return select(found.c.event_id).order_by(found.c.event_id.desc()).limit(_most)


# Built once: building them for each step took longer than PostgreSQL did.
#
# The eras are a condition of their own: within the other one they take the index five times as
# long, which then reads what it could skip.
_WALK, _EVER, _IN_ERAS = _walk(), _by_index(), _by_index(_have(_words, "eras"))


@dataclass(frozen=True, slots=True)
class Page:
    """What one step found, newest first, and how far it has looked: None is to the beginning."""

    ids: Sequence[UUID]
    looked_to: UUID | None


def find_page(
    connection: Connection,
    terms: Sequence[Term],
    *,
    before: UUID | None = None,
    since: UUID | None = None,
) -> Iterator[Page]:
    """Yield what has all the terms, in steps back through time, each below the last.

    What is older than `since` may be found, but is not looked for.
    """
    if connection.dialect.name == "postgresql":
        return _postgresql(connection, _tsquery(terms), before or LAST_ID, since)
    return _sqlite(connection, terms, before)


def find_rare(connection: Connection, term: Term, *, most: int) -> Sequence[UUID]:
    """Return the newest that have a rare term, of all that there are."""
    if connection.dialect.name == "postgresql":
        asked = {"wanted": _tsquery([term]), "below": LAST_ID, "most": most}
        return connection.execute(_EVER, asked).scalars().all()
    return next(_sqlite(connection, [term], None)).ids[:most]


def _postgresql(
    connection: Connection, wanted: str, before: UUID, since: UUID | None
) -> Iterator[Page]:
    floor: UUID | None = before
    walk = 0
    while True:
        looked, enough = NEWEST_FIRST_STEPS[walk]
        asked = {"wanted": wanted, "below": floor, "looked": looked, "most": STEP}
        ids, last, oldest = connection.execute(_WALK, asked).one()
        is_common = len(ids) == STEP
        floor = ids[-1] if is_common else last
        yield Page(ids, floor)
        if floor is None:
            return
        if not is_common:
            if len(ids) < enough:
                break
            walk += 1
    first_era = partition_of(max(filter(None, (oldest, since)), default=floor))
    span = 0
    while floor is not None:
        era = partition_of(floor)
        last_era = (
            max(first_era, era - PARTITION_SPANS[span] + 1)
            if span < len(PARTITION_SPANS)
            else first_era
        )
        asked = {"wanted": wanted, "below": floor, "most": STEP}
        if era - last_era < MOST_ERAS:
            eras = " | ".join(f"'{partition_word(one)}'" for one in range(last_era, era + 1))
            found = connection.execute(_IN_ERAS, asked | {"eras": eras})
        else:
            found = connection.execute(_EVER, asked)
        ids = found.scalars().all()
        if len(ids) == STEP:
            floor = ids[-1]
        else:
            span += 1
            floor = None if last_era <= first_era else first_of_partition(last_era)
        yield Page(ids, floor)


def _sqlite(connection: Connection, terms: Sequence[Term], before: UUID | None) -> Iterator[Page]:
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
        yield Page([row.event_id for row in page], floor)
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
    """Yield the words of a term in FTS5's quotes; no word has one in it."""
    for word in term.words:
        yield f'"{word}"{"*" if term.prefix else ""}'
