"""Marshmallow fields for the notations of `hub.yaml`: `5m`, `64KiB`, `100/10s`, one or many."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from hub.core.configuration import Rate

SLUG = re.compile(r"[a-z][a-z0-9_-]{0,62}")
SLUG_EXPECTED = "expected a lower-case letter, then up to 62 of a-z 0-9 _ -"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_SIZE = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB)")
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,9})?([smhd])")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Text(fields.Field[str]):
    """Field of a non-empty text, stripped of surrounding space."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValidationError("expected a text")
        return value.strip()


class Switch(fields.Field[bool]):
    """Boolean field: `true yes on 1` or `false no off 0`, in upper or lower case."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        word = str(value).lower()
        if isinstance(value, list | dict) or word not in _TRUE | _FALSE:
            raise ValidationError("expected true or false")
        return word in _TRUE


class Duration(fields.Field[float]):
    """Duration field, `10s 5m 2h 3d`; loads as seconds."""

    def __init__(self, *, low: str, high: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> float:
        if _is_number(value):
            raise ValidationError(f"a duration needs a unit: {value}s {value}m {value}h {value}d")
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError("expected a duration like 10s 5m 2h 3d")
        if not duration_s(self.low) <= duration_s(match[0]) <= duration_s(self.high):
            raise ValidationError(f"expected a duration from {self.low} to {self.high}")
        return duration_s(match[0])


class Size(fields.Field[int]):
    """Size field, `64KiB 1MiB`; loads as bytes."""

    def __init__(self, *, low: str, high: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if _is_number(value):
            raise ValidationError(f"a size needs a unit: {value}KiB, {value}MiB")
        if not isinstance(value, str) or not _SIZE.fullmatch(value):
            raise ValidationError("expected a size like 64KiB 1MiB")
        if not size_bytes(self.low) <= size_bytes(value) <= size_bytes(self.high):
            raise ValidationError(f"expected a size from {self.low} to {self.high}")
        return size_bytes(value)


class RateLimit(fields.Field[Rate]):
    """Rate field, `100/10s` or `1/h`: a count for each period of time."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Rate:
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match[1]) < 1 or int(match[2] or 1) < 1:
            raise ValidationError("expected a rate like 100/10s or 1/h")
        return Rate(int(match[1]), float(int(match[2] or 1) * _SECONDS[match[3]]))


class Whole(fields.Field[int]):
    """Integer field with a range; also accepts a text of digits (from the environment)."""

    def __init__(self, *, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        text = "" if isinstance(value, bool | float) else str(value)
        if re.fullmatch(r"[0-9]{1,9}", text) and self.low <= int(text) <= self.high:
            return int(text)
        raise ValidationError(f"expected a whole number from {self.low} to {self.high}")


class OneOf(fields.Field[str]):
    """Enumeration field: one word of a fixed set."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValidationError(f"expected {' or '.join(self.words)}")
        return value


class Texts(fields.Field[tuple[str, ...]]):
    """Field of one non-empty text or a list of them; loads as a tuple."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        wrong = {
            index: ["expected a text"]
            for index, item in enumerate(items)
            if not isinstance(item, str) or not item.strip()
        }
        if wrong and isinstance(value, list):
            raise ValidationError(wrong)
        if wrong or not items:
            raise ValidationError("expected a text or a list of texts")
        return tuple(item.strip() for item in items)


class Tree(fields.Field[Mapping[str, Any]]):
    """Field of a mapping with any content."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("expected a mapping")
        return value


def duration_s(text: str) -> float:
    """Return the seconds of a valid duration such as `10s 5m 2h 3d`."""
    return float(int(text[:-1]) * _SECONDS[text[-1]])


def size_bytes(text: str) -> int:
    """Return the bytes of a valid size such as `64KiB 1MiB`."""
    number, unit = _SIZE.fullmatch(text).groups()  # type: ignore[union-attr]
    return int(number) * _BYTES[unit]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 10
    return isinstance(value, int | float) and not isinstance(value, bool)
