"""What an expression may give: what JSON can say, and not without end."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from hub.core.errors import ExpressionError, MissingField

MAX_TEXT = 200_000
"""The longest text that a template may make, in characters."""


def present(value: Any) -> Any:
    """Return the value of an expression; null is as good as a missing field.

    Raises:
        MissingField: it is null.
    """
    if value is None:
        raise MissingField("an expression gave nothing (null); use `| default(..., true)`")
    return value


def plain(value: Any) -> Any:
    """Return the value of an expression as JSON can say it.

    Raises:
        ExpressionError: JSON cannot say it, or it is too long.
        MissingField: it has a missing field in it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return bounded(str(value))
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ExpressionError("made a number of more than 64 bits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExpressionError("made a number that is not finite")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ExpressionError("made a mapping whose names are no texts")
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, jinja2.Undefined):
        bool(value)  # raises, naming the field; but not for an `if` without its `else`
        raise MissingField("an expression gave nothing: give its `if` an `else`")
    if isinstance(value, list | tuple | Iterator):
        return [plain(item) for item in value]
    raise ExpressionError("gave something that is no text, number, list or mapping")


def bounded(text: str) -> str:
    """Return a text that is not too long.

    Raises:
        ExpressionError: it is.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"made a text of more than {MAX_TEXT} characters")
    return text


def is_number(value: Any) -> bool:
    """Return whether a value is one that can be reckoned with (a bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
