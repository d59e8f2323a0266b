"""Batch parsing: an item that cannot be read does not affect the others."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.strict_json import read_json

_SPACE = re.compile(r"[ \t\r\n]*")
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Item that `read_json` refuses: its JSON text and the reason."""

    text: str
    reason: str


def read_batch(body: bytes) -> Sequence[Any]:
    """Return the items of a JSON array, at least one: any JSON value, or `Spoiled`.

    Raises:
        Unreadable: the body is not an array, or the array is empty or has no object in it.
    """
    try:
        items = read_json(body)
    except Unreadable as fault:
        items = _items_one_by_one(body, fault)
    if not isinstance(items, list):
        raise Unreadable(f"a batch of events is a JSON array, not {type(items).__name__}")
    if not any(isinstance(item, dict | Spoiled) for item in items):
        raise Unreadable("a batch of events is a JSON array of objects; this one has none")
    return items


def _items_one_by_one(body: bytes, fault: Unreadable) -> Sequence[Any]:
    """Return the items of an array that has a bad one; raise `fault` if it is not an array."""
    try:
        return [_item(text) for text in _texts(body.decode("utf-8-sig"))]
    except (ValueError, RecursionError):
        raise fault from None


def _item(text: str) -> Any:
    try:
        return read_json(text.encode())
    except Unreadable as fault:
        return Spoiled(text, str(fault))


def _texts(text: str) -> Iterator[str]:
    """Yield the text of each item; raise ValueError where the text is not a JSON array."""
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise ValueError("no array")
    mark = ","
    while mark == ",":
        start = _after_space(text, place + 1)
        _, end = _LENIENT.raw_decode(text, start)
        yield text[start:end]
        place = _after_space(text, end)
        mark = text[place : place + 1]
    if mark != "]" or _after_space(text, place + 1) != len(text):
        raise ValueError("no end")


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
