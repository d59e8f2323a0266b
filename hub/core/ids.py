"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that sorting by id is sorting by time."""

from datetime import datetime
from random import getrandbits
from uuid import UUID

# Bounds of all ids, themselves none.
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)

_LAST_MILLISECOND = 2**48 - 1
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


def new_id(now: datetime) -> UUID:
    """Return a new UUIDv7 of that instant, to the microsecond (RFC 9562, 6.2, method 3)."""
    milliseconds = int(now.timestamp()) * 1000 + now.microsecond // 1000
    fraction = now.microsecond % 1000 * 4096 // 1000
    random = getrandbits(62)  # unique is enough: nothing rests on an id being a secret
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | fraction << 64 | random)


def first_id(at: datetime) -> UUID:
    """Return the lower bound of the ids made at that instant or later, for a range by time.

    Instants that no UUIDv7 can hold (before 1970, after 10889) give the nearest bound there is.
    """
    milliseconds = int(at.timestamp()) * 1000 + at.microsecond // 1000
    return UUID(int=min(max(milliseconds, 0), _LAST_MILLISECOND) << 80)


def parse_id(text: str) -> UUID | None:
    """Return the id that a person or a program gave, or None when it is not one."""
    try:
        return UUID(text)
    except ValueError:
        return None
