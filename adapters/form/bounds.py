"""What `max` and `min` of a field may say; what they count hangs on its type."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from adapters.form.files import MOST_FILES
from adapters.form.kinds import KINDS, LARGEST_MAX

Bound = int | float | str


def check_bounds(declared: Mapping[str, Any]) -> None:
    """Accept the `max` and `min` of a field.

    Raises:
        ValidationError: under the key that is wrong.
    """
    read = _READ.get(declared["type"], _whole)
    most = _most(declared)
    found = {}
    for key in ("max", "min"):
        if key in declared:
            found[key] = _read(key, read, declared[key], most)
    if len(found) == 2 and found["min"] > found["max"]:
        raise ValidationError("is more than `max`", "min")


def _most(declared: Mapping[str, Any]) -> int:
    if declared["type"] == "choices":
        return len(declared["choices"])
    return LARGEST_MAX if KINDS[declared["type"]].sized else MOST_FILES


def _read(key: str, read: Callable[[Any, int], Any], value: Any, most: int) -> Any:
    try:
        return read(value, most)
    except ValueError as error:
        raise ValidationError(str(error), key) from None


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"expected 1 to {most}")
    return value


def _number(value: Any, _: int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError("expected a number")
    return Decimal(repr(value))


def _date(value: Any, _: int) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("expected a date like 2026-11-20") from None


_READ: Mapping[str, Callable[[Any, int], Any]] = {"number": _number, "date": _date}
