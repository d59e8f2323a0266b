"""Patterns that a field may be held to: none that takes long on any text of the field's length.

`re` tries every way in which a pattern may divide a text. How many there are is counted before a
pattern is accepted: no repetition of what itself varies, and few repetitions beside each other.
"""

import re
from importlib import import_module
from math import factorial
from typing import Any

MOST_CHARACTERS = 300
MOST_WAYS = 1_000_000
MOST_READ = 1000
"""The longest text, in characters, that is held against a pattern."""

_GROUPS = frozenset({"SUBPATTERN", "ATOMIC_GROUP"})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
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
