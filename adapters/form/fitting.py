"""A text that fits a pattern, as short as it allows; for samples, which nobody types."""

import re
from importlib import import_module
from typing import Any

_TRIED = "a0A 1-_.@/+,;:#"
"""What stands for a character of which it is only said what it is not."""
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
