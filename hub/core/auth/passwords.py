"""Which passwords are good enough: long, and not among those that everybody tries first."""

import re
import unicodedata
from functools import cache
from pathlib import Path

LONGEST = 128
# A password of fewer different characters than that is one character again and again.
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
    """Return what is wrong with a new password, in a sentence that says what to do; else None.

    `least`: characters it must have. `name` and `site` are what an attacker knows anyway.
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
    """Return whether it is a common one, also with figures around it, `0` for `o`, or twice."""
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    candidates = {plain, bare, plain.translate(_UNLEET), bare.translate(_UNLEET)}
    return any(_repeated(one) in common_passwords() for one in candidates if one)


def _repeated(text: str) -> str:
    """Return the part that a text says again and again; all of it when that is once."""
    return text[: (text + text).find(text, 1)]


def _is_made_of_rows(plain: str) -> bool:
    """Return whether nearly all of it is runs of keys or letters side by side."""
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
    """Return whether nothing worth guessing is left without these words, figures and signs."""
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
    """Return the passwords that are tried first, lower-case."""
    lines = Path(__file__).with_name("common_passwords.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
