"""Limits of templates: the work of one template, and the values of its expressions.

Events are written by strangers, so one template may spend a limited effort. Effort is counted in
the items and characters that filters, tests and methods receive and return, not in seconds: the
same event fails, or does not, on every machine. A loop that sums a list in each of its rounds
takes time proportional to the square of the list's length.

An expression may return values that JSON can represent, of limited size.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sized
from functools import wraps
from typing import Any

import jinja2
from jinja2.runtime import Context

from hub.core.errors import ExpressionError, MissingField

MAX_EFFORT = 1_000_000
# Characters of a text that cost as much effort as one item of a list.
CHARACTERS = 64
# Longest text that a template may produce, in characters.
MAX_TEXT = 200_000
# Marks by which Jinja's decorators note what a function wants before its value.
_CONTEXT, _EVAL_CONTEXT, _ENVIRONMENT = (
    getattr(decorator(lambda *_: None), "jinja_pass_arg")  # noqa: B009 - its type has no such name
    for decorator in (jinja2.pass_context, jinja2.pass_eval_context, jinja2.pass_environment)
)


def spend(context: Context, *values: Any) -> None:
    """Add the effort of going through these values to the effort of the template.

    Raises:
        ExpressionError: the template has spent more than `MAX_EFFORT`.
    """
    spent = getattr(context, "effort", 0) + sum(_size(value) for value in values)
    context.effort = spent  # type: ignore[attr-defined]
    if spent > MAX_EFFORT:
        raise ExpressionError("has too much to go through: so much data is not for a template")


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return 1 + len(value) // CHARACTERS
    return len(value) if isinstance(value, Sized) and not _is_missing(value) else 1


def _is_missing(value: Any) -> bool:
    return isinstance(value, jinja2.Undefined)


def reckoned(function: Any) -> Callable[..., Any]:
    """Return a filter or test that spends effort for its arguments and its result."""
    wants = getattr(function, "jinja_pass_arg", None)

    @jinja2.pass_context
    @wraps(function)
    def spending(context: Context, *values: Any, **named: Any) -> Any:
        spend(context, *values, *named.values())
        made = function(*_before(wants, context), *values, **named)
        spend(context, made)
        return made

    return spending


def _before(wants: object, context: Context) -> tuple[Any, ...]:
    """Return the arguments that Jinja passes to a function before its value."""
    if wants is _CONTEXT:
        return (context,)
    if wants is _EVAL_CONTEXT:
        return (context.eval_ctx,)
    return (context.environment,) if wants is _ENVIRONMENT else ()


def present(value: Any) -> Any:
    """Return the value of an expression; null counts as a missing field.

    Raises:
        MissingField: the value is null.
    """
    if value is None:
        raise MissingField("an expression gave nothing (null); use `| default(..., true)`")
    return value


def plain(value: Any) -> Any:
    """Return the value of an expression as plain JSON types.

    Raises:
        ExpressionError: JSON cannot represent it, or it is too long.
        MissingField: it contains a missing field.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return bounded_value(str(value))
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
        # Raises an error that names the field, except for an `if` without its `else`.
        bool(value)
        raise MissingField("an expression gave nothing: give its `if` an `else`")
    if isinstance(value, list | tuple | Iterator):
        return [plain(item) for item in value]
    raise ExpressionError("gave something that is no text, number, list or mapping")


def bounded_value(text: str) -> str:
    """Return a text unchanged if it has at most `MAX_TEXT` characters.

    Raises:
        ExpressionError: it is longer.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"made a text of more than {MAX_TEXT} characters")
    return text


def is_number(value: Any) -> bool:
    """Return whether a value is a number; a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
