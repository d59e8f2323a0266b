"""A text that fits a pattern, as short as it allows; for samples, which nobody types.

Patterns that a field may be held to: none that takes long on any text of the field's length.

`re` tries every way in which a pattern may divide a text. How many there are is counted before a
pattern is accepted: no repetition of what itself varies, and few repetitions beside each other.
"""

import re
from importlib import import_module
from math import factorial
from typing import Any

# What stands for a character of which it is only said what it is not.
_TRIED = "a0A 1-_.@/+,;:#"
_CLASSES = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


def fitting(pattern: str, *, least: int, most: int) -> str | None:
    """Return a text of `least` to `most` characters that fits; None where none is found."""
    parsed = import_module("re._parser").parse(pattern)
    for more in dict.fromkeys((0, 1, max(least, 1))):
        text = _of(parsed, more)
        if max(least, 1) <= len(text) <= most and text.strip() and re.fullmatch(pattern, text):
            return text
    return None


def _of(items: Any, more: int) -> str:
    return "".join(_one(str(code), about, more) for code, about in items)


def _one(code: str, about: Any, more: int) -> str:
    """Return what stands for one item; `more`: how often what may be repeated is, beyond need."""
    if code == "LITERAL":
        return chr(about)
    if code in ("NOT_LITERAL", "ANY"):
        return next(one for one in _TRIED if ord(one) != about)
    if code == "IN":
        return _member(about)
    if code == "SUBPATTERN":
        return _of(about[-1], more)
    if code == "ATOMIC_GROUP":
        return _of(about, more)
    if code == "BRANCH":
        return _of(about[1][0], more)
    if code in _REPEATS:
        low, high = int(about[0]), int(about[1])
        return _of(about[2], more) * min(low + more, high)
    return ""


def _member(about: Any) -> str:
    """Return a character of a set like `[0-9a-f]`, or one that is none of `[^,]`."""
    kinds = [(str(code), value) for code, value in about]
    if kinds[0][0] == "NEGATE":
        return next((one for one in _TRIED if not any(_holds(k, v, one) for k, v in kinds[1:])), "")
    code, value = kinds[0]
    if code == "RANGE":
        return chr(value[0])
    return _CLASSES.get(str(value), "a") if code == "CATEGORY" else chr(value)


def _holds(code: str, value: Any, one: str) -> bool:
    if code == "RANGE":
        return bool(value[0] <= ord(one) <= value[1])
    if code == "CATEGORY":
        is_word = one.isalnum() or one == "_"
        is_in = {"DIGIT": one.isdigit(), "SPACE": one.isspace(), "WORD": is_word}
        name = str(value).removeprefix("CATEGORY_")
        return not is_in[name[4:]] if name.startswith("NOT_") else is_in[name]
    return bool(code == "LITERAL" and value == ord(one))


MOST_CHARACTERS = 300
MOST_WAYS = 1_000_000
# The longest text, in characters, that is held against a pattern.
MOST_READ = 1000

_GROUPS = frozenset({"SUBPATTERN", "ATOMIC_GROUP"})
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})


class BadPattern(ValueError):
    """The pattern cannot be used. The message is a sentence for whoever wrote it."""


def check_pattern(pattern: str, longest: int) -> None:
    """Accept a pattern for texts of up to `longest` characters.

    Raises:
        BadPattern: it does not compile, looks around or back, or may take too long.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise BadPattern(f"a pattern has at most {MOST_CHARACTERS} characters")
    if longest > MOST_READ:
        raise BadPattern(f"a field with a pattern needs a `max` of at most {MOST_READ}")
    try:
        re.compile(pattern)
        parsed = import_module("re._parser").parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"not a regular expression: {error}") from None
    counted = _Count(longest)
    if counted.ways(parsed) / factorial(counted.unbounded) > MOST_WAYS:
        raise BadPattern("may take too long: set a smaller `max`, or repeat less")


class _Count:
    """Counts the ways to divide a text; `unbounded` repetitions share its length."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.unbounded = 0

    def ways(self, items: Any) -> int:
        product = 1
        for code, about in items:
            product *= self._ways_of(str(code), about)
        return product

    def _ways_of(self, code: str, about: Any) -> int:
        if code in _SINGLE:
            return 1
        if code in _GROUPS:
            return self.ways(about[-1] if code == "SUBPATTERN" else about)
        if code == "BRANCH":
            return sum(self.ways(alternative) for alternative in about[1])
        if code in _REPEATS:
            return self._repeated(*about)
        raise BadPattern("looks around or back: only plain repetitions and alternatives are taken")

    def _repeated(self, low: int, high: Any, inner: Any) -> int:
        most = min(int(high), self._longest)
        of_one = self.ways(inner)
        if most <= 1:
            return 1 + of_one
        if of_one > 1:
            raise BadPattern("repeats what itself varies, like (a+)*: write it without")
        if most == self._longest:
            self.unbounded += 1
        return max(1, most - low + 1)
