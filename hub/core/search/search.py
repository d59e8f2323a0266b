"""Event search by ids (direct look-up) and by words (full text).

The matches of both are merged, newest first, in bounded steps back in time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Executable, Select, String, Uuid, bindparam, select, union

from hub.core.auth.plain_values import is_id
from hub.core.ids import parse_id
from hub.core.models import Delivery, StoredEvent, StoredRequest
from hub.core.search.full_text import SearchStep, find_page, find_rare
from hub.core.search.tokenizer import Term, is_amount, terms_of, whole_word

LONGEST_QUERY = 200
MOST_BY_ID = 200

_TEXT, _ID = bindparam("text", type_=String), bindparam("wanted", type_=Uuid)


def _any_of(*ways: Select[Any]) -> Executable:
    # As subqueries: SQLite does not allow LIMIT in the parts of a UNION.
    apart = [select(way.subquery().c[0].label("id")) for way in ways]
    return union(*apart)


_BY_TEXT = (
    select(StoredEvent.id).where(StoredEvent.external_id == _TEXT).limit(MOST_BY_ID),
    select(Delivery.event_id)
    .where(Delivery.provider_ref == _TEXT, Delivery.provider_ref.is_not(None))
    .limit(MOST_BY_ID),
)
_BY_ID = (
    select(StoredEvent.id).where(StoredEvent.id == _ID),
    select(Delivery.event_id).where(Delivery.id == _ID),
    select(StoredRequest.event_id).where(StoredRequest.id == _ID),
)
# Statements for a text that is not a UUID (external ids, provider references), and for one that
# is. Built once.
_NAMED_BY_TEXT, _NAMED_BY_BOTH = _any_of(*_BY_TEXT), _any_of(*_BY_TEXT, *_BY_ID)


@dataclass(frozen=True, slots=True)
class Query:
    """Search query: the text, looked up as an id, and the terms that must all match."""

    text: str
    terms: Sequence[Term]


def read_query(text: str, *, country: str, personal: bool = True) -> Query:
    """Parse a search text into a query; a text above `LONGEST_QUERY` characters is cut.

    `personal`: the user may see personal data. All other users search by ids and amounts only: a
    match for a name or a number would reveal data that the event's page masks.
    """
    text = text.replace("\x00", "").encode("utf-8", "replace").decode().strip()[:LONGEST_QUERY]
    terms = terms_of(text, country=country)
    if personal:
        return Query(text, terms)
    tells_nobody = all(is_amount(word) for term in terms for word in term.words)
    return Query(text if is_id(text) else "", terms if tells_nobody else ())


def steps(
    connection: Connection, query: Query, *, before: UUID | None, since: UUID | None = None
) -> Iterator[SearchStep]:
    """Yield pages back in time, each older than the one before; no event is on two pages.

    Events older than `since` may be among them, but are not searched for.
    """
    named = _by_id(connection, query.text, before)
    by_words: Iterable[SearchStep] = (SearchStep((), None),)
    if query.terms:
        by_words = find_page(connection, query.terms, before=before, since=since)
    for step in by_words:
        floor = step.looked_to
        mine = [one for one in named if floor is None or one >= floor]
        named = [one for one in named if one not in set(mine)]
        yield SearchStep(sorted({*step.ids, *mine} if mine else step.ids, reverse=True), floor)


def found_by(connection: Connection, words: Sequence[str], *, most: int) -> Sequence[UUID]:
    """Return events that contain any of these rare words (ids in original form), newest first."""
    term = Term(tuple(dict.fromkeys(word for one in words if (word := whole_word(one)))))
    return find_rare(connection, term, most=most) if term.words else []


def _by_id(connection: Connection, text: str, before: UUID | None) -> list[UUID]:
    """Return the events with an id: the event's, its request's, a delivery's or a provider's."""
    wanted = parse_id(text)
    if wanted:
        found = connection.execute(_NAMED_BY_BOTH, {"text": text, "wanted": wanted}).scalars()
    else:
        found = connection.execute(_NAMED_BY_TEXT, {"text": text}).scalars()
    return [one for one in found if one is not None and (before is None or one < before)]
