"""Shapes of the values that every user may see: ids, codes, times, amounts, currencies, countries.

A code is made of ordinary words (`ordinary_words`), so that a name typed into `status` is none; an
id has a number or a random part beside them (`opaque_ids`), so that it is no name at all.
"""

import re
from collections.abc import Collection, Container, Mapping
from enum import Enum
from functools import lru_cache

from hub.core.auth.iso_codes import COUNTRIES, CURRENCIES
from hub.core.auth.opaque_ids import LONGEST, PLAIN, UUID, is_random, is_strong_id
from hub.core.auth.ordinary_words import is_worded, words_of
from hub.core.auth.personal_numbers import is_personal, may_be_national

LONGEST_CODE = 100

_BETWEEN = re.compile(r"[_.:/>=-]+")
# An older time may be somebody's birth, whatever time of day it has.
_YEAR = r"20(?:0[5-9]|[1-9][0-9])"
_OLDEST_S = 1_104_537_600
_DAY = rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = (
    r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
)
_WITHIN = re.compile(rf"(?<![0-9A-Za-z])(?:{UUID}|{_DAY}{_CLOCK})(?![0-9A-Za-z])", re.ASCII)
_IP = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)
_SPACED_DIGITS = re.compile(r"(?<![0-9])[0-9]+(?:[.\-/()_]+[0-9]+)+", re.ASCII)
_TIME = re.compile(
    rf"{_DAY}(?:{_CLOCK})?"
    rf"|[A-Z][a-z]{{2}}, [0-9]{{1,2}} [A-Z][a-z]{{2}} {_YEAR} [0-9:]{{8}}"
    r" (?:GMT|UTC|[+-][0-9]{4})",
    re.ASCII,
)
_EPOCH = re.compile(r"(1[0-9]{9})(?:[0-9]{3})?(?:\.[0-9]{1,6})?", re.ASCII)
_AMOUNT = re.compile(r"-?(?:[0-9]{1,6}|[0-9]{1,9}\.[0-9]{1,4})", re.ASCII)
_STATUS_CODE = re.compile(r"[2-5]\.[0-9]{1,3}\.[0-9]{1,3}|[1-9][0-9]{2}|[1-6][0-9]{4}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)


class Kind(Enum):
    """Kind of value that a field holds, as its name says."""

    ID = "id"
    PERSONS_ID = "person's id"
    CODE = "code"
    CURRENCY = "currency"
    COUNTRY = "country"
    TIME = "time"
    AMOUNT = "amount"
    TYPED = "typed"
    OTHER = "other"


_LAST: Mapping[str, Kind] = {
    **dict.fromkeys("id ids sid sids uuid guid gid sku".split(), Kind.ID),
    **dict.fromkeys(
        "type types object event events status statuses state states kind kinds mode action "
        "actions channel direction reason reasons code topic method methods scheme funding brand "
        "level outcome result changed proto encoding verdict".split(), Kind.CODE
    ),
    **dict.fromkeys(("currency", "currencies"), Kind.CURRENCY),
    **dict.fromkeys(("country", "countries"), Kind.COUNTRY),
    **dict.fromkeys(
        "at on created updated date time timestamp since until start end expires expiry due "
        "occurred arrival anchor deadline".split(), Kind.TIME
    ),
    **dict.fromkeys(("fields", "utm", "attachments"), Kind.TYPED),
}  # fmt: skip
_COUNTED = frozenset(
    "amount amounts total subtotal price fee fees net gross balance discount tax tip cost "
    "quantity count remaining refunded captured received paid due attempt attempts retries size "
    "length bytes duration segments media index percent score".split()
)
# Words of a field's name that make its value personal, or secret, whatever the rest says.
_NEVER = frozenset(
    "birth birthday birthdate born dob email mail phone mobile tel telephone fax whatsapp wa "
    "postal zip postcode latitude longitude lat lng secret token key password passphrase "
    "verifier verification avatar gravatar hash ip emails phones secrets tokens keys "
    "passwords".split()
)
# The same of ids: numbers that a state or a bank gives to a person.
_NEVER_IDS = frozenset(
    "tax vat national passport license licence government social insurance personal iban "
    "identity apple google facebook ssn fiscal document patient recipient sender caller msisdn "
    "from to".split()
)


# Those who may give a name or a number of their own as an id, or as a code.
_PEOPLE = frozenset(
    "account agent assignee attendee author buyer cardholder client contact customer employee "
    "guest handle holder host invitee label lead login member merchant name owner payee payer "
    "people person profile seller subscriber tenant title user username visitor".split()
)
_STATES = frozenset(
    "type types status statuses state states kind kinds mode reason reasons method methods".split()
)
# A tax is an amount, a tax number and whoever it was received from are none.
_NO_AMOUNT = frozenset("number from to".split())


@lru_cache(maxsize=8192)
def kind_of(name: str) -> Kind:
    """Return the kind of value that a field of this name holds; `OTHER` is shown to few."""
    words = [word for word in words_of(name) if not word.isdigit()]
    if not _NEVER.isdisjoint(words):
        return Kind.TYPED
    if not words:
        return Kind.OTHER
    last = words[-1]
    if last == "code" and words[-2:-1] in (["country"], ["currency"]):
        last = words[-2]
    if words == ["number"]:
        return Kind.PERSONS_ID
    if words in (["order", "number"], ["invoice", "number"], ["receipt", "number"]):
        return Kind.ID
    found = _LAST.get(last, Kind.OTHER)
    if found is Kind.ID:
        return _kind_of_id(words)
    if found is Kind.CODE and last not in _STATES and not _PEOPLE.isdisjoint(words):
        return Kind.OTHER
    if found is Kind.OTHER and not _COUNTED.isdisjoint(words):
        return Kind.OTHER if not _NO_AMOUNT.isdisjoint(words) else Kind.AMOUNT
    return found


def _kind_of_id(words: Collection[str]) -> Kind:
    if not _NEVER_IDS.isdisjoint(words):
        return Kind.OTHER
    return Kind.ID if _PEOPLE.isdisjoint(words) else Kind.PERSONS_ID


def is_name(name: str, own: Container[str] = ()) -> bool:
    """Return whether a field's name is an ordinary identifier, and not a word about a person."""
    return is_code(name.lstrip("_$"), own)


def is_code(text: str, own: Container[str] = ()) -> bool:
    """Return whether a text is a code: `payment_intent.succeeded`, `card_declined`, `no-answer`.

    `own`: words that count as ordinary beside the known ones, in lower case.
    """
    is_short = len(text) <= LONGEST_CODE and bool(PLAIN.fullmatch(text))
    return is_short and is_worded(text, own) and not _IP.search(text)


def is_status_code(text: str) -> bool:
    """Return whether a text is a number for an outcome: `404`, `5.1.1` (RFC 3463), `30003`."""
    return bool(_STATUS_CODE.fullmatch(text))


def is_currency(text: str) -> bool:
    return text.upper() in CURRENCIES and (text.isupper() or text.islower())


def is_country(text: str) -> bool:
    return text.upper() in COUNTRIES and (text.isupper() or text.islower())


def is_time(text: str) -> bool:
    """Return whether a text is a time, and none at which a grown-up may have been born."""
    if epoch := _EPOCH.fullmatch(text):
        return int(epoch[1]) >= _OLDEST_S
    return bool(_TIME.fullmatch(text))


def is_amount(text: str) -> bool:
    """Return whether a text is an amount or a count, and too short for a telephone number."""
    return bool(_AMOUNT.fullmatch(text))


def is_id(text: str, own: Container[str] = (), *, persons: bool = False) -> bool:
    """Return whether a text has the shape of an id that a program gave.

    It consists of ordinary words, of numbers that are no person's, and of parts that look random;
    words alone are none. A name, an e-mail address or an IP address is none. `persons`: it stands
    where somebody may have given their own number, so that one of a telephone's length is none.
    """
    if is_strong_id(text):
        return True
    if len(text) > LONGEST or not PLAIN.fullmatch(text) or _IP.search(text):
        return False
    rest = _WITHIN.sub("0", text)
    if any(sum(map(str.isdigit, part)) >= 7 for part in _SPACED_DIGITS.findall(rest)):
        return False
    parts = [part for part in _BETWEEN.split(rest) if part]
    if not any(character.isdigit() for character in rest) and not any(map(is_random, parts)):
        return False
    return all(_is_part(part, own, persons) for part in parts)


def is_number_id(digits: str, *, persons: bool = False) -> bool:
    """Return whether a number can be an id: it may not be a telephone's, a card's or a birthday."""
    return not (is_personal(digits) or (persons and may_be_national(digits)))


def _is_part(part: str, own: Container[str], persons: bool) -> bool:
    if part.isdigit():
        return is_number_id(part, persons=persons)
    if _IBAN.fullmatch(part):
        return False
    return is_worded(part, own, names=False) or is_random(part) or _is_numbered(part, own, persons)


def _is_numbered(part: str, own: Container[str], persons: bool) -> bool:
    """Return whether a part is an ordinary word and a number behind it: `msg0000012`."""
    word = part.rstrip("0123456789")
    if not 3 <= len(word) < len(part) or not is_worded(word, own, names=False):
        return False
    return is_number_id(part[len(word) :], persons=persons)
