"""Shapes of the values that every user may see: ids, codes, times, amounts, currencies, countries.

A code is made of ordinary words (`ordinary_words.txt`: the words of providers' field names, types
and states, without given names and family names), so that a name typed into `status` is none.
"""

import re
from collections.abc import Container, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path

from hub.core.auth.iso_codes import COUNTRIES, CURRENCIES

ORDINARY_WORDS = frozenset(
    Path(__file__).with_name("ordinary_words.txt").read_text("ascii").split()
)
LONGEST = 255
LONGEST_CODE = 100
# Fewer digits than a telephone number has, in all numbers of a code or a sentence together.
MOST_DIGITS = 6

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W_]")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/>=-]*", re.ASCII)
_BETWEEN = re.compile(r"[_.:/>=-]+")
_UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
_DAY = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = (
    r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
)
_WHOLE = re.compile(
    rf"{_UUID}|[A-Z]{{2}}[0-9a-f]{{32}}|[0-9a-f]{{32}}|[0-9a-f]{{40}}|[0-9a-f]{{64}}", re.ASCII
)
_WITHIN = re.compile(rf"(?<![0-9A-Za-z])(?:{_UUID}|{_DAY}{_CLOCK})(?![0-9A-Za-z])", re.ASCII)
_BASE64 = re.compile(
    r"(?=.*[0-9])(?=.*[a-z])(?:[A-Za-z0-9_+/-]{22}==|(?=(?:[^A-Z]*[A-Z]){4})[A-Za-z0-9_+/-]{22})",
    re.ASCII,
)
_IP = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)
_SPACED_DIGITS = re.compile(r"(?<![0-9])[0-9]+(?:[.\-/()]+[0-9]+)+", re.ASCII)
_TIME = re.compile(
    rf"{_DAY}(?:{_CLOCK})?"
    r"|[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8} (?:GMT|UTC|[+-][0-9]{4})",
    re.ASCII,
)
_EPOCH = re.compile(r"1[0-9]{9}(?:[0-9]{3})?(?:\.[0-9]{1,6})?", re.ASCII)
_AMOUNT = re.compile(r"-?(?:[0-9]{1,6}|[0-9]{1,9}\.[0-9]{1,4})", re.ASCII)
_STATUS_CODE = re.compile(r"[2-5]\.[0-9]{1,3}\.[0-9]{1,3}|[1-9][0-9]{2}|[1-6][0-9]{4}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_TURN = re.compile(r"(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]", re.ASCII)
_WRITTEN = re.compile(r"[a-z]{4,}", re.ASCII)
_UPPER, _LOWER = re.compile(r"[A-Z]{2}", re.ASCII), re.compile(r"[a-z]{2}", re.ASCII)
# Numbers without a plus that are telephone numbers all the same: North American ones, British
# mobile ones, and national ones with their leading zero.
_PHONE = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}|447[0-9]{9}|00?[1-9][0-9]{7,12}", re.ASCII)
# A date without a time of day that is older may be a birthday.
_OLDEST_DAY = "2005"


class Kind(Enum):
    """Kind of value that a field holds, as its name says."""

    ID = "id"
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
    "verifier verification avatar gravatar hash ip".split()
)
# The same of ids: numbers that a state or a bank gives to a person.
_NEVER_IDS = frozenset(
    "tax vat national passport license licence government social insurance personal iban "
    "identity apple google facebook ssn fiscal document patient recipient sender caller msisdn "
    "from to".split()
)


# A tax is an amount, a tax number and whoever it was received from are none.
_NO_AMOUNT = frozenset("number from to".split())


@lru_cache(maxsize=8192)
def kind_of(name: str) -> Kind:
    """Return the kind of value that a field of this name holds; `OTHER` is shown to few."""
    words = [word.lower() for word in _WORDS.findall(name) if not word.isdigit()]
    if not _NEVER.isdisjoint(words):
        return Kind.TYPED
    if not words:
        return Kind.OTHER
    last = words[-1]
    if last == "code" and words[-2:-1] in (["country"], ["currency"]):
        last = words[-2]
    if words in (["number"], ["order", "number"], ["invoice", "number"], ["receipt", "number"]):
        return Kind.ID
    found = _LAST.get(last, Kind.OTHER)
    if found is Kind.ID and not _NEVER_IDS.isdisjoint(words):
        return Kind.OTHER
    if found is Kind.OTHER and not _COUNTED.isdisjoint(words):
        return Kind.OTHER if not _NO_AMOUNT.isdisjoint(words) else Kind.AMOUNT
    return found


def is_name(name: str, own: Container[str] = ()) -> bool:
    """Return whether a field's name is an ordinary identifier, and not a word about a person."""
    return is_code(name.lstrip("_$"), own)


def is_code(text: str, own: Container[str] = ()) -> bool:
    """Return whether a text is a code: `payment_intent.succeeded`, `card_declined`, `no-answer`.

    `own`: words that count as ordinary beside the known ones, in lower case.
    """
    is_short = len(text) <= LONGEST_CODE and bool(_PLAIN.fullmatch(text))
    return is_short and is_worded(text, own) and not _IP.search(text)


@lru_cache(maxsize=16384)
def words_of(text: str) -> tuple[str, ...]:
    """Return the words and numbers of an identifier, in lower case: `FromCity` has two."""
    return tuple(word.lower() for word in _WORDS.findall(text))


def is_worded(text: str, own: Container[str]) -> bool:
    """Return whether a text consists of ordinary words, and of a few short numbers."""
    words = words_of(text)
    if sum(len(word) for word in words if word.isdigit()) > MOST_DIGITS:
        return False
    return any(word.isalpha() for word in words) and all(
        len(word) <= 3 if word.isdigit() else word in ORDINARY_WORDS or word in own
        for word in words
    )


def is_status_code(text: str) -> bool:
    """Return whether a text is a number for an outcome: `404`, `5.1.1` (RFC 3463), `30003`."""
    return bool(_STATUS_CODE.fullmatch(text))


def is_currency(text: str) -> bool:
    return text.upper() in CURRENCIES and (text.isupper() or text.islower())


def is_country(text: str) -> bool:
    return text.upper() in COUNTRIES and (text.isupper() or text.islower())


def is_time(text: str) -> bool:
    """Return whether a text is a time, or a date that can hardly be a birthday."""
    if _EPOCH.fullmatch(text):
        return True
    return bool(_TIME.fullmatch(text)) and (len(text) > len("2005-01-01") or text >= _OLDEST_DAY)


def is_amount(text: str) -> bool:
    """Return whether a text is an amount or a count, and too short for a telephone number."""
    return bool(_AMOUNT.fullmatch(text))


def is_id(text: str, own: Container[str] = ()) -> bool:
    """Return whether a text has the shape of an id that a program gave.

    It consists of ordinary words, numbers that are no telephone and no card numbers, and of parts
    that look random. A name, an e-mail address or an IP address is none.
    """
    if is_strong_id(text):
        return True
    if len(text) > LONGEST or not _PLAIN.fullmatch(text) or _IP.search(text):
        return False
    rest = _WITHIN.sub("0", text)
    if any(sum(map(str.isdigit, part)) >= 7 for part in _SPACED_DIGITS.findall(rest)):
        return False
    return all(_is_part(part, own) for part in _BETWEEN.split(rest) if part)


def is_strong_id(text: str) -> bool:
    """Return whether a text is an id by its look alone, under whatever name it stands.

    UUIDs, digests, ids of Twilio (`SM…`), and random parts behind an ordinary word (`cus_…`).
    """
    if len(text) > LONGEST or " " in text:
        return False
    if _WHOLE.fullmatch(text) or _BASE64.fullmatch(text):
        return True
    front, _, random = text.rpartition("_")
    return (
        len(random) >= 12
        and bool(front)
        and bool(_PLAIN.fullmatch(text))
        and (_is_random(random) or (random.isdigit() and is_number_id(random)))
        and is_worded(front, ())
    )


def is_number_id(digits: str) -> bool:
    """Return whether a number can be an id: it is no telephone number, and no card number."""
    return not (_PHONE.fullmatch(digits) or (12 <= len(digits) <= 19 and _is_card(digits)))


def _is_part(part: str, own: Container[str]) -> bool:
    if part.isdigit():
        return is_number_id(part)
    if _IBAN.fullmatch(part):
        return False
    return is_worded(part, own) or _is_random(part) or _is_numbered(part, own)


def _is_numbered(part: str, own: Container[str]) -> bool:
    """Return whether a part is an ordinary word and a number behind it: `msg0000012`."""
    word = part.rstrip("0123456789")
    return 3 <= len(word) < len(part) and is_worded(word, own) and is_number_id(part[len(word) :])


def _is_random(part: str) -> bool:
    """Return whether letters and digits are mixed as no person would write them."""
    if not (part.isascii() and part.isalnum()):
        return False
    if len(part) < 16 and any(word not in ORDINARY_WORDS for word in _WRITTEN.findall(part)):
        return False
    turns = len(_TURN.findall(part))
    if turns >= 3 or (turns == 2 and len(part) >= 14):
        return True
    # Without digits, as one of ten ids of Stripe: capitals where no word begins.
    is_mixed = bool(_UPPER.search(part) and _LOWER.search(part))
    return len(part) >= 14 and sum(map(str.isupper, part)) >= 4 and is_mixed


def _is_card(digits: str) -> bool:
    """Return whether digits are a payment card's (ISO/IEC 7812-1, Luhn)."""
    if digits[0] not in "23456":
        return False
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0
