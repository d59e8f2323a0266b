"""Password policy: a minimum length, and no password that is easy to guess."""

import re
import unicodedata
from functools import cache
from pathlib import Path

LONGEST = 128
# A password with fewer different characters than this counts as repetition.
MOST_REPEATED = 4

_UNLEET = str.maketrans("01345678@$!|", "oieasgtbasil")
_KEYS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
)
_ROWS = (*_KEYS, *(row[::-1] for row in _KEYS))
_RUN = 4


def password_fault(password: str, *, least: int, name: str = "", site: str = "") -> str | None:
    """Return the fault of a new password, as a sentence with advice; None if it is acceptable.

    `least` is the minimum length in characters. `name` and `site` are known to any attacker, so a
    password must not be made of them.
    """
    if len(password) < least:
        return f"The password is too short: take at least {least} characters, three words will do."
    if len(password) > LONGEST:
        return f"The password is too long: {LONGEST} characters are enough."
    plain = _plain(password)
    if len(set(plain)) < MOST_REPEATED:
        return "The password is the same few characters again and again: take three words."
    if _is_made_of_rows(plain):
        return "The password follows the keyboard or the alphabet: take three words instead."
    if _is_common(plain):
        return "The password is one of the first that anybody would try: take three words instead."
    if _is_made_of(plain, [*_words_of(name), *_words_of(site)]):
        return "The password is made of a name that everybody knows: take other words."
    return None


def _plain(password: str) -> str:
    return unicodedata.normalize("NFKC", password).casefold()


def _is_common(plain: str) -> bool:
    """Return whether a password is common, also with digits around it, `0` for `o`, or repeated."""
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    candidates = {plain, bare, plain.translate(_UNLEET), bare.translate(_UNLEET)}
    return any(_repeated(one) in common_passwords() for one in candidates if one)


def _repeated(text: str) -> str:
    """Return the shortest unit of which a text is a repetition; the whole text if there is none."""
    return text[: (text + text).find(text, 1)]


def _is_made_of_rows(plain: str) -> bool:
    """Return whether a password is almost entirely runs of adjacent keys or letters."""
    at = uncovered = 0
    while at < len(plain):
        run = max(_run_at(plain, at, row) for row in _ROWS)
        uncovered += run < _RUN
        at += run if run >= _RUN else 1
    return uncovered < _RUN


def _run_at(plain: str, at: int, row: str) -> int:
    length = 1
    while at + length <= len(plain) and plain[at : at + length] in row:
        length += 1
    return length - 1


def _is_made_of(plain: str, words: list[str]) -> bool:
    """Return whether a password contains these words and little else than digits and symbols."""
    rest = plain
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    letters = re.sub(r"[\W\d_]", "", rest)
    return rest != plain and (len(letters) < _RUN or letters in common_passwords())


def _words_of(text: str) -> list[str]:
    words = re.findall(r"[^\W\d_]{3,}", _plain(text))
    return [*words, "".join(words)] if words else []


@cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords, lower-case."""
    lines = Path(__file__).with_name("common_passwords.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
