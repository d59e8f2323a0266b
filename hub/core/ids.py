"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that the order of ids is the order of time."""

from datetime import UTC, datetime
from random import getrandbits
from uuid import UUID

# Bounds of all ids; no id has either value.
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)

_LAST_MILLISECOND = 2**48 - 1
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


def new_id(now: datetime) -> UUID:
    """Return a new UUIDv7 of an instant, precise to the microsecond (RFC 9562, 6.2, method 3)."""
    milliseconds = int(now.timestamp()) * 1000 + now.microsecond // 1000
    fraction = now.microsecond % 1000 * 4096 // 1000
    # Uniqueness is enough: no part of the hub relies on an id being secret.
    random = getrandbits(62)
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | fraction << 64 | random)


def first_id(at: datetime) -> UUID:
    """Return the lower bound of ids created at an instant or later, for queries by time range.

    Instants that no UUIDv7 can hold (before 1970, after 10889) give the nearest possible bound.
    """
    milliseconds = int(at.timestamp()) * 1000 + at.microsecond // 1000
    return UUID(int=min(max(milliseconds, 0), _LAST_MILLISECOND) << 80)


def instant_of(id_: UUID) -> datetime:
    """Return the instant at which a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


def parse_id(text: str) -> UUID | None:
    """Return the id that a person or a program typed, or None if the text is no UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None
