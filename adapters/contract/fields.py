"""The values that payloads of many providers share: times, ids, e-mail addresses, phones.

Each is a function, for payloads read by hand on the hot path, and where schemas need it a
marshmallow field on top. What identifies or orders an event is refused when it is wrong
(`Unreadable`); what only describes a person is left out when it is wrong (None).
marshmallow's own times are not used: `DateTime("timestamp")` is naive, `AwareDateTime` keeps the
sender's offset.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from adapters.contract.errors import Unreadable
from adapters.contract.money import currency_code, minor_units

_EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_ID = re.compile(r"[!-~]{1,255}", re.ASCII)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_PHONE_PUNCTUATION = str.maketrans("", "", " .-()")


def utc_from_epoch(value: Any, name: str) -> datetime:
    """Return epoch seconds as aware UTC, years 2000 to 2099.

    Raises:
        Unreadable: not an integer, or out of range (milliseconds are).
    """
    if type(value) is not int:
        raise Unreadable(f"{name} must be whole seconds since 1970, not {type(value).__name__}")
    if not _EARLIEST <= value < _LATEST:
        raise Unreadable(f"{name} is not in the years 2000 to 2099; is it in milliseconds?")
    return datetime.fromtimestamp(value, UTC)


def utc_from_text(value: Any, name: str) -> datetime:
    """Return an RFC 3339 time as aware UTC, years 2000 to 2099.

    Raises:
        Unreadable: not such a text, without an offset, or out of range.
    """
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{name} must be a time like 2026-11-20T12:00:00Z") from error
    if instant.tzinfo is None:
        raise Unreadable(f"{name} has no offset from UTC")
    if not _EARLIEST <= instant.timestamp() < _LATEST:
        raise Unreadable(f"{name} is not in the years 2000 to 2099")
    return instant.astimezone(UTC)


def rfc3339(instant: datetime) -> str:
    """Return an aware instant in UTC as RFC 3339 with `Z`: `2026-11-20T12:00:00Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def external_id(value: Any, name: str) -> str:
    """Return a provider's id unchanged: not trimmed, not folded, so that no two ids merge.

    Raises:
        Unreadable: not 1 to 255 printable ASCII characters without spaces.
    """
    if not is_id(value):
        raise Unreadable(f"{name} must be 1 to 255 printable ASCII characters without spaces")
    return str(value)


def is_id(value: Any) -> bool:
    """Tell whether a value can stand as an id in a unique key."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def text(value: Any) -> str | None:
    """Return a text that says something, or None."""
    return value if isinstance(value, str) and value.strip() else None


def email_address(value: Any) -> str | None:
    """Return the address with its domain lower-cased (the rest is the owner's), or None."""
    address = value.strip() if isinstance(value, str) else ""
    if not _EMAIL.fullmatch(address):
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def phone_e164(value: Any) -> str | None:
    """Return the number as E.164 if it says its country itself, else None: nothing is guessed.

    `+44 (0)20 ...` has a digit that must not be dialled: it is None too.
    """
    if not isinstance(value, str) or "(0)" in value:
        return None
    number = value.strip().translate(_PHONE_PUNCTUATION)
    return number if _PHONE.fullmatch(number) else None


class _Strict(fields.Field[Any]):
    """A field that reads with one of the functions above and reports as schemas do."""

    read: Callable[[Any, str], Any]

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        try:
            return type(self).read(value, attr or "the value")
        except Unreadable as fault:
            raise ValidationError(str(fault)) from fault


class EpochSeconds(_Strict):
    """Epoch seconds to aware UTC."""

    read = staticmethod(utc_from_epoch)


class Instant(_Strict):
    """RFC 3339 text to aware UTC."""

    read = staticmethod(utc_from_text)


class MinorUnits(_Strict):
    """An amount of money, strictly an integer."""

    read = staticmethod(minor_units)


class CurrencyCode(_Strict):
    """An ISO 4217 code, in capitals."""

    read = staticmethod(currency_code)


class ExternalId(_Strict):
    """A provider's own id, unchanged."""

    read = staticmethod(external_id)
