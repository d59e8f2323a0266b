"""Tokenizer of the search index: splits events into words, and search texts into terms.

Both are normalized alike: accents and case are ignored. A word has only letters, digits and
`@ . _ - + ~ =`, so that both databases index it whole. `=42.5` is an amount of money,
`15551234567` a phone number.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from adapters.contract.money import minor_exponent

# Limit for the indexed words of one event, spaces between the words included.
MOST_CHARACTERS = 8000
LONGEST_WORD = 100
MOST_TERMS = 12
MOST_NODES = 2000
MOST_READ_CHARACTERS = 4 * MOST_CHARACTERS
_FOLDED_AT_ONCE = 500

# Fields with ids that relate an event, such as a status callback, to a message that was sent.
_IDS = ("delivery_id", "hub_attempt", "message_id")
_EMAIL_ENDS = "<>[](){}\"'`,;:.!?"
_LONG_NUMBER = re.compile(r"\+?\(?\d(?:[\s().\-/]{0,3}\d){8,14}(?!\d)")
_AMOUNT = re.compile(r"(?<![\w.,@])(?P<sign>[$€£¥])?\s?(?P<number>\d{1,3}(?:,\d{3}){1,5}"
                     r"(?:\.\d{1,4})?|\d{1,15}(?:\.\d{1,4})?)(?!\.?[\w@])")  # fmt: skip
_MONEY = re.compile(r"=[\d.]+")
_WORD = re.compile(r"\w+")
_FOREIGN = re.compile(r"[^\w@.+~=-]")
_PREFIX = re.compile(r"(\w{3,})\*")


@dataclass(frozen=True, slots=True)
class Term:
    """Term of a search, matched by any of its words; with `prefix`, by words that begin so."""

    words: tuple[str, ...]
    prefix: bool = False


def words_of(event_type: str, source: str, external_id: str, data: Mapping[str, Any]) -> list[str]:
    """Return the words of an event, without duplicates, up to a limit; canonical fields first."""
    words: dict[str, None] = {}
    left = MOST_CHARACTERS
    for word in _all_words(event_type, source, external_id, data):
        word = word[:LONGEST_WORD]
        if not word or word in words:
            continue
        left -= len(word) + 1
        if left < 0:
            break
        words[word] = None
    return list(words)


def terms_of(text: str, *, country: str) -> list[Term]:
    """Return the terms of a search text, which must all match. Without terms nothing matches.

    Phone numbers are parsed in the national format of `country`.
    """
    folded = fold(text)
    terms: list[Term] = []
    for number in _LONG_NUMBER.finditer(folded):
        if digits := _telephones(number[0], country):
            terms.append(Term(digits))
            folded = folded.replace(number[0], " ")
    for piece in folded.split():
        terms.extend(_terms_of_piece(piece))
    return list(dict.fromkeys(terms))[:MOST_TERMS]


def whole_word(text: str) -> str:
    """Return an id as a single word, with all other characters replaced by `_`."""
    return _FOREIGN.sub("_", fold(text))[:LONGEST_WORD]


def is_amount(word: str) -> bool:
    """Return whether a word is an amount of money."""
    return _MONEY.fullmatch(word) is not None


def fold(text: str) -> str:
    """Return a text without accents, case-folded."""
    # In pieces: the time for one letter with thousands of accents grows with their square.
    pieces = (text[at : at + _FOLDED_AT_ONCE] for at in range(0, len(text), _FOLDED_AT_ONCE))
    decomposed = "".join(unicodedata.normalize("NFKD", piece) for piece in pieces)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn").casefold()


def _all_words(
    event_type: str, source: str, external_id: str, data: Mapping[str, Any]
) -> Iterator[str]:
    yield from _WORD.findall(fold(f"{event_type} {source} {external_id}"))
    for name in _IDS:
        if isinstance(told := data.get(name), str):
            yield from (whole_word(told), whole_word(told.rpartition(".")[0]))
    amount, currency = data.get("amount"), data.get("currency")
    if type(amount) is int and isinstance(currency, str):
        major = Decimal(amount).scaleb(-minor_exponent(currency.upper()))
        yield from (_amount(major), _amount(major)[1:])
    for text in _texts(data):
        yield from _words_of_text(fold(text))


def _words_of_text(folded: str) -> Iterator[str]:
    for piece in folded.split():
        if "@" in piece:
            yield from _words_of_email(piece.strip(_EMAIL_ENDS))
    for number in _LONG_NUMBER.findall(folded):
        yield "".join(filter(str.isdigit, number))
    for found in _AMOUNT.finditer(folded):
        if found["sign"] or "." in found["number"]:
            yield _amount(Decimal(found["number"].replace(",", "")))
    yield from _WORD.findall(folded)


def _words_of_email(email: str) -> Iterator[str]:
    email = _FOREIGN.sub("_", email)
    local, _, domain = email.rpartition("@")
    yield from (word for word in (email, local, domain) if word)


def _texts(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts and numbers of a tree, breadth first: the most relevant are near the root."""
    level: list[Any] = list(data.values())
    seen, left = 0, MOST_READ_CHARACTERS
    while level and seen < MOST_NODES and left > 0:
        deeper: list[Any] = []
        for node in level[: MOST_NODES - seen]:
            seen += 1
            if isinstance(node, str):
                yield node[: max(0, min(left, MOST_CHARACTERS))]
                left -= len(node)
            elif isinstance(node, Mapping):
                deeper.extend(node.values())
            elif isinstance(node, list):
                deeper.extend(node)
            elif isinstance(node, int | float) and not isinstance(node, bool):
                yield str(node)
        level = deeper


def _terms_of_piece(piece: str) -> Iterable[Term]:
    if "@" in piece and (email := _FOREIGN.sub("_", piece.strip(_EMAIL_ENDS + "@"))):
        return [Term((email[:LONGEST_WORD],))]
    if prefix := _PREFIX.fullmatch(piece):
        return [Term((prefix[1][:LONGEST_WORD],), prefix=True)]
    found = _AMOUNT.fullmatch(piece.rstrip(".,;:!?"))
    if found and (found["sign"] or "." in piece or "," in piece):
        return [Term((_amount(Decimal(found["number"].replace(",", ""))),))]
    return [Term((word[:LONGEST_WORD],)) for word in _WORD.findall(piece)]


def _amount(major: Decimal) -> str:
    """Return an amount of money as one word, without its currency: `=42`, `=42.5`."""
    text = f"{major:f}"
    return f"={text.rstrip('0').rstrip('.') if '.' in text else text}"


def _telephones(written: str, country: str) -> tuple[str, ...]:
    """Return the digits of a phone number, in E.164 and as written; empty if it is not possible."""
    # Imported late: slow to import, and few searches need it.
    import phonenumbers

    try:
        parsed = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        return ()
    if not phonenumbers.is_possible_number(parsed):
        return ()
    digits = "".join(filter(str.isdigit, written))
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return tuple(dict.fromkeys((e164.removeprefix("+"), digits)))
