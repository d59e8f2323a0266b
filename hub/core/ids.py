"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that sorting by id is sorting by time."""

from datetime import datetime
from random import getrandbits
from uuid import UUID

# Bounds of all ids, themselves none.
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)

_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


def new_id(now: datetime) -> UUID:
    """Return a new UUIDv7 of that instant, to the microsecond (RFC 9562, 6.2, method 3)."""
    milliseconds = int(now.timestamp()) * 1000 + now.microsecond // 1000
    fraction = now.microsecond % 1000 * 4096 // 1000
    random = getrandbits(62)  # unique is enough: nothing rests on an id being a secret
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | fraction << 64 | random)


def first_id(at: datetime) -> UUID:
    """Return what no id made before that instant is greater than: the bound of a range by time."""
    return UUID(int=(int(at.timestamp()) * 1000 + at.microsecond // 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """Return the id that a person or a program gave, or None when it is not one."""
    try:
        return UUID(text)
    except ValueError:
        return None
