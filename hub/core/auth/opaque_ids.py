"""Opaque ids: what a program drew at random, told from a name that somebody joined of words.

Known shapes are UUIDs, ULIDs, digests, and ids of Twilio, Stripe and Salesforce. All else has to
mix letters and digits as no person would, and its letters have to be unlike those of words and
names.
"""

import re

from hub.core.auth.ordinary_words import is_worded, likeness
from hub.core.auth.personal_numbers import is_personal

LONGEST = 255
# Texts of an id: its parts, and what stands between them.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/>=-]*", re.ASCII)
UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"

_KNOWN = re.compile(
    rf"{UUID}|0[0-7][0-9A-HJKMNP-TV-Z]{{24}}|[A-Z]{{2}}[0-9a-f]{{32}}"
    r"|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[a-z]{2,5}_1[0-9A-Za-z]{23}"
    r"|(?=[0-9a-z]*[A-Z])00[0-9A-Za-z]{13}(?:[A-Z0-5]{3})?",
    re.ASCII,
)
# 16 bytes, filled up or not.
_FILLED = re.compile(r"(?=.*[0-9])(?=.*[a-z])[A-Za-z0-9_+/-]{22}==", re.ASCII)
_BASE64 = re.compile(r"(?=.*[0-9])(?=.*[a-z])(?=(?:[^A-Z]*[A-Z]){4})[A-Za-z0-9_+/-]{22}", re.ASCII)
_STRIPE = frozenset(
    "acct ba ca card ch cs cs_live cs_test cus dp evt fee ii il in li pi plink pm po price prod py "
    "re req seti si src sub tr txn".split()
)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+", re.ASCII)
_TURN = re.compile(r"(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]", re.ASCII)
_UPPER, _LOWER = re.compile(r"[A-Z]{2}", re.ASCII), re.compile(r"[a-z]{2}", re.ASCII)
_LONG_RUN = re.compile(r"[a-z]{8}|[A-Z]{8}", re.ASCII)
# Digits that people write for letters, each by itself.
_LETTERS = dict(zip("013457", "oieast", strict=True))
_LONE_DIGIT = re.compile(r"(?<![0-9])[013457](?![0-9])", re.ASCII)
# Bits up to which letters are no word's: lower ones mask more names, and more of the ids. Few name
# themselves as Stripe does.
_UNLIKE, _UNLIKE_AT_STRIPE = -4.0, 0.0


def is_strong_id(text: str) -> bool:
    """Return whether a text is an id by its look alone, under whatever name it stands.

    A known shape, or a random part behind an ordinary word: `cus_…`.
    """
    if len(text) > LONGEST or " " in text:
        return False
    if _KNOWN.fullmatch(text) or _FILLED.fullmatch(text):
        return True
    if _BASE64.fullmatch(text) and _is_unlike_words(text, _UNLIKE):
        return True
    front, _, random = text.rpartition("_")
    most = _UNLIKE_AT_STRIPE if front in _STRIPE else _UNLIKE
    return (
        len(random) >= 12
        and bool(front)
        and bool(PLAIN.fullmatch(text))
        and (is_random(random, most) or (random.isdigit() and not is_personal(random)))
        and is_worded(front, ())
    )


def is_random(part: str, most: float = _UNLIKE) -> bool:
    """Return whether letters and digits are mixed as no person would write them.

    `most`: how like words its letters may be, in bits.
    """
    if _KNOWN.fullmatch(part):
        return True
    if not (part.isascii() and part.isalnum() and _is_mixed(part)):
        return False
    return bool(_HEX.fullmatch(part)) or _is_unlike_words(part, most)


def _is_mixed(part: str) -> bool:
    turns = len(_TURN.findall(part))
    if turns >= 3 or (turns == 2 and len(part) >= 14):
        return True
    # Without digits, as one of ten ids of Stripe: capitals where no word begins.
    has_both = bool(_UPPER.search(part) and _LOWER.search(part))
    return len(part) >= 14 and sum(map(str.isupper, part)) >= 4 and has_both


def _is_unlike_words(text: str, most: float) -> bool:
    if _LONG_RUN.search(text):
        return False
    read = _LONE_DIGIT.sub(lambda digit: _LETTERS[digit[0]], text)
    return max(likeness(text), likeness(read)) <= most
