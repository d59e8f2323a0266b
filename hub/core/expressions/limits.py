"""How much work one template may make, whatever a stranger puts into the event.

Reckoned in items and characters that its filters, tests and methods are given and give, not in
seconds: the same event fails or does not on every machine. A loop that adds up a list in each of
its rounds takes as long as the list is long, squared.

What an expression may give: what JSON can say, and not without end.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sized
from functools import wraps
from typing import Any

import jinja2
from jinja2.runtime import Context
from jinja2.utils import _PassArg

from hub.core.errors import ExpressionError, MissingField

MAX_EFFORT = 1_000_000
# So many characters of a text are as quickly gone through as one item of a list.
CHARACTERS = 64


def spend(context: Context, *values: Any) -> None:
    """Reckon with these values being gone through.

    Raises:
        ExpressionError: the template has gone through too much.
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
    """Return a filter or test that spends effort by what it is given and what it gives."""
    wants = _PassArg.from_obj(function)

    @jinja2.pass_context
    @wraps(function)
    def spending(context: Context, *values: Any, **named: Any) -> Any:
        spend(context, *values, *named.values())
        made = function(*_before(wants, context), *values, **named)
        spend(context, made)
        return made

    return spending


def _before(wants: _PassArg | None, context: Context) -> tuple[Any, ...]:
    """Return what Jinja would have passed to a function before its value."""
    if wants is _PassArg.context:
        return (context,)
    if wants is _PassArg.eval_context:
        return (context.eval_ctx,)
    return (context.environment,) if wants is _PassArg.environment else ()


# The longest text that a template may make, in characters.
MAX_TEXT = 200_000


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
        bool(value)  # raises, naming the field; but not for an `if` without its `else`
        raise MissingField("an expression gave nothing: give its `if` an `else`")
    if isinstance(value, list | tuple | Iterator):
        return [plain(item) for item in value]
    raise ExpressionError("gave something that is no text, number, list or mapping")


def bounded_value(text: str) -> str:
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
