"""How much work one template may make, whatever a stranger puts into the event.

Reckoned in items and characters that its filters, tests and methods are given and give, not in
seconds: the same event fails or does not on every machine. A loop that adds up a list in each of
its rounds takes as long as the list is long, squared.
"""

from collections.abc import Callable, Sized
from functools import wraps
from typing import Any

import jinja2
from jinja2.runtime import Context
from jinja2.utils import _PassArg

from hub.core.errors import ExpressionError

MAX_EFFORT = 1_000_000
CHARACTERS = 64
"""So many characters of a text are as quickly gone through as one item of a list."""


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
