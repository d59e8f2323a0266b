"""Events found by id or by words: the newest first, in bounded steps back through time.

A word that is common is found among the newest events; a rare one by the index, span by span.
So neither reads all that there is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, literal, select, union
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.sql.expression import cast

from hub.core.access.redaction import redact_text
from hub.core.board.indexing import (
    SAME_MOMENT_BITS,
    era_of,
    era_word,
    first_of_era,
    moment_of,
    row_id_of,
)
from hub.core.board.terms import Term, is_amount, terms_of, whole_word
from hub.core.ids import parse_id
from hub.core.models import Delivery, StoredEvent, StoredRequest
from hub.core.models.search import event_search, event_search_fts

STEP = 250
"""So many events are found in one step."""
WALKS = ((2000, 8), (4000, 15), (16000, STEP))
"""So many of the newest are looked through in a step, and another such step follows if so many
were found in it; then the index is asked, which reads all that it finds.
"""
SPANS = (1, 4, 16)
"""How many eras (`ERA_DAYS`) each further step goes back."""
MOST_ERAS = 64
LONGEST_QUERY = 200
MOST_BY_ID = 200


@dataclass(frozen=True, slots=True)
class Step:
    """What one step found, newest first, and how far it has looked: None is to the beginning."""

    ids: Sequence[UUID]
    looked_to: UUID | None


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: ids that are named, and terms that must all be there."""

    text: str
    terms: Sequence[Term]


def read_query(text: str, *, country: str, personal: bool = True) -> Query:
    """Return what a text asks for. What is too long is cut.

    `personal`: whoever asks may see personal data. The others find by ids and amounts alone: that
    a name or a number is found in an event would tell them what its page masks.
    """
    text = text.replace("\x00", "").encode("utf-8", "replace").decode().strip()[:LONGEST_QUERY]
    terms = terms_of(text, country=country)
    if personal:
        return Query(text, terms)
    tells_nobody = all(is_amount(word) for term in terms for word in term.words)
    return Query(text if redact_text(text) == text else "", terms if tells_nobody else ())


def steps(
    connection: Connection, query: Query, *, before: UUID | None, since: UUID | None = None
) -> Iterator[Step]:
    """Yield steps back through time. Nothing is found twice, and each begins below the last.

    What is older than `since` may be found, but is not looked for.
    """
    named = _by_id(connection, query.text, before)
    by_words: Iterable[Step] = (Step((), None),)
    if query.terms and connection.dialect.name == "postgresql":
        by_words = _postgresql(connection, query.terms, before, since)
    elif query.terms:
        by_words = _sqlite(connection, query.terms, before)
    for step in by_words:
        floor = step.looked_to
        mine = [one for one in named if floor is None or one >= floor]
        named = [one for one in named if one not in set(mine)]
        yield Step(sorted({*step.ids, *mine}, reverse=True), floor)


def found_by(connection: Connection, words: Sequence[str], *, most: int) -> list[UUID]:
    """Return events that have any of these rare words, ids as they were sent, newest first."""
    term = Term(tuple(dict.fromkeys(word for one in words if (word := whole_word(one)))))
    if not term.words:
        return []
    if connection.dialect.name == "postgresql":
        column = event_search.c.event_id
        wanted = cast(literal(_tsquery([term])), TSQUERY)
        found = select(column).where(event_search.c.words.op("@@")(wanted))
        return _newest_of(connection, found, most)
    return list(next(_sqlite(connection, [term], None)).ids)[:most]


def _by_id(connection: Connection, text: str, before: UUID | None) -> list[UUID]:
    """Return the events that an id names: theirs, their request's, a delivery's, a provider's."""
    wanted = parse_id(text)
    ways: list[Any] = [
        select(StoredEvent.id).where(StoredEvent.external_id == text).limit(MOST_BY_ID),
        select(Delivery.event_id)
        .where(Delivery.provider_ref == text, Delivery.provider_ref.is_not(None))
        .limit(MOST_BY_ID),
    ]
    if wanted:
        ways += [
            select(StoredEvent.id).where(StoredEvent.id == wanted),
            select(Delivery.event_id).where(Delivery.id == wanted),
            select(StoredRequest.event_id).where(StoredRequest.id == wanted),
        ]
    apart = [select(way.subquery().c[0].label("id")) for way in ways]  # SQLite wants no bare LIMIT
    found = connection.execute(union(*apart)).scalars()
    return [one for one in found if one is not None and (before is None or one < before)]


def _postgresql(
    connection: Connection, terms: Sequence[Term], before: UUID | None, since: UUID | None
) -> Iterator[Step]:
    wanted = cast(literal(_tsquery(terms)), TSQUERY)
    words, event_id = event_search.c.words, event_search.c.event_id
    floor, walk = before, 0
    while True:
        most, enough = WALKS[walk]
        newest = select(event_id, words).order_by(event_id.desc()).limit(most)
        looked = (newest.where(event_id < floor) if floor else newest).subquery()
        newest_first = looked.c.event_id.desc()
        found = select(looked.c.event_id).where(looked.c.words.op("@@")(wanted))
        ids = list(connection.execute(found.order_by(newest_first).limit(STEP)).scalars())
        last = select(looked.c.event_id).order_by(newest_first).offset(most - 1)
        is_common = len(ids) == STEP
        floor = ids[-1] if is_common else connection.execute(last).scalar_one_or_none()
        yield Step(ids, floor)
        if floor is None:
            return
        if not is_common:
            if len(ids) < enough:
                break
            walk += 1
    oldest = connection.execute(select(event_id).order_by(event_id).limit(1)).scalar_one_or_none()
    first_era = era_of(max(filter(None, (oldest, since)), default=floor))
    span = 0
    while floor is not None:
        era = era_of(floor)
        last_era = max(first_era, era - SPANS[span] + 1) if span < len(SPANS) else first_era
        found = select(event_id).where(words.op("@@")(wanted), event_id < floor)
        if era - last_era < MOST_ERAS:
            eras = " | ".join(f"'{era_word(one)}'" for one in range(last_era, era + 1))
            found = found.where(words.op("@@")(cast(literal(eras), TSQUERY)))
        ids = _newest_of(connection, found, STEP)
        if len(ids) == STEP:
            floor = ids[-1]
        else:
            span += 1
            floor = None if last_era <= first_era else first_of_era(last_era)
        yield Step(ids, floor)


def _newest_of(connection: Connection, found: Select[tuple[UUID]], most: int) -> list[UUID]:
    """Return the newest ids of what the index of words finds: a planner that hopes to meet them
    soon among the newest events would look through all that there are.
    """
    apart = found.cte("found").prefix_with("MATERIALIZED")
    newest = select(apart.c.event_id).order_by(apart.c.event_id.desc()).limit(most)
    return list(connection.execute(newest).scalars())


def _sqlite(connection: Connection, terms: Sequence[Term], before: UUID | None) -> Iterator[Step]:
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
        yield Step([row.event_id for row in page], floor)
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
