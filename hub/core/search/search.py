"""What somebody searches for: ids, by which events are found at once, and words.

Both are found together, the newest first, in bounded steps back through time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Executable, Select, String, Uuid, bindparam, select, union

from hub.core.auth.redaction import redact_text
from hub.core.ids import parse_id
from hub.core.models import Delivery, StoredEvent, StoredRequest
from hub.core.search.full_text import Page, find_page, find_rare
from hub.core.search.tokenizer import Term, is_amount, terms_of, whole_word

LONGEST_QUERY = 200
MOST_BY_ID = 200

_TEXT, _ID = bindparam("text", type_=String), bindparam("wanted", type_=Uuid)


def _any_of(*ways: Select[Any]) -> Executable:
    apart = [select(way.subquery().c[0].label("id")) for way in ways]  # SQLite wants no bare LIMIT
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
# The events that a text names; that it names, or the id that it is. Built once.
_NAMED_BY_TEXT, _NAMED_BY_BOTH = _any_of(*_BY_TEXT), _any_of(*_BY_TEXT, *_BY_ID)


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
) -> Iterator[Page]:
    """Yield steps back through time. Nothing is found twice, and each begins below the last.

    What is older than `since` may be found, but is not looked for.
    """
    named = _by_id(connection, query.text, before)
    by_words: Iterable[Page] = (Page((), None),)
    if query.terms:
        by_words = find_page(connection, query.terms, before=before, since=since)
    for step in by_words:
        floor = step.looked_to
        mine = [one for one in named if floor is None or one >= floor]
        named = [one for one in named if one not in set(mine)]
        yield Page(sorted({*step.ids, *mine} if mine else step.ids, reverse=True), floor)


def found_by(connection: Connection, words: Sequence[str], *, most: int) -> Sequence[UUID]:
    """Return events that have any of these rare words, ids as they were sent, newest first."""
    term = Term(tuple(dict.fromkeys(word for one in words if (word := whole_word(one)))))
    return find_rare(connection, term, most=most) if term.words else []


def _by_id(connection: Connection, text: str, before: UUID | None) -> list[UUID]:
    """Return the events that an id names: theirs, their request's, a delivery's, a provider's."""
    wanted = parse_id(text)
    if wanted:
        found = connection.execute(_NAMED_BY_BOTH, {"text": text, "wanted": wanted}).scalars()
    else:
        found = connection.execute(_NAMED_BY_TEXT, {"text": text}).scalars()
    return [one for one in found if one is not None and (before is None or one < before)]
