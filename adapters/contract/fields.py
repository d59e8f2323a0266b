"""Payload fields that many providers share: times, ids, e-mail addresses, phone numbers.

Each is a function, for payloads that are read without a schema on the hot path, and where schemas
need it also a marshmallow field. An invalid value that identifies or orders an event is rejected
(`Unreadable`); an invalid value that only describes a person is left out (None).
marshmallow's own time fields are not used: `DateTime("timestamp")` is naive, `AwareDateTime` keeps
the sender's offset.
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
    """Convert epoch seconds to aware UTC, years 2000 to 2099.

    Raises:
        Unreadable: not an integer, or out of range (as milliseconds are).
    """
    if type(value) is not int:
        raise Unreadable(f"{name} must be whole seconds since 1970, not {type(value).__name__}")
    if not _EARLIEST <= value < _LATEST:
        raise Unreadable(f"{name} is not in the years 2000 to 2099; is it in milliseconds?")
    return datetime.fromtimestamp(value, UTC)


def utc_from_text(value: Any, name: str) -> datetime:
    """Convert an RFC 3339 time to aware UTC, years 2000 to 2099.

    Raises:
        Unreadable: not an RFC 3339 string, without an offset from UTC, or out of range.
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
    """Format an aware datetime in UTC as RFC 3339 with `Z`: `2026-11-20T12:00:00Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def external_id(value: Any, name: str) -> str:
    """Return a provider's id unchanged: not trimmed, not case-folded, so that no two ids merge.

    Raises:
        Unreadable: not 1 to 255 printable ASCII characters without spaces.
    """
    if not is_id(value):
        raise Unreadable(f"{name} must be 1 to 255 printable ASCII characters without spaces")
    return str(value)


def is_id(value: Any) -> bool:
    """Return whether a value can be used as an id in a unique key."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def text(value: Any) -> str | None:
    """Return a string that is not blank, or None."""
    return value if isinstance(value, str) and value.strip() else None


def email_address(value: Any) -> str | None:
    """Return the address with its domain in lower case and the local part unchanged, or None."""
    address = value.strip() if isinstance(value, str) else ""
    if not _EMAIL.fullmatch(address):
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def phone_e164(value: Any) -> str | None:
    """Return the number in E.164 if it has a country code, else None: no country is guessed.

    `+44 (0)20 ...` contains a digit that must not be dialled: the result is None as well.
    """
    if not isinstance(value, str) or "(0)" in value:
        return None
    number = value.strip().translate(_PHONE_PUNCTUATION)
    return number if _PHONE.fullmatch(number) else None


class _Strict(fields.Field[Any]):
    """Field that reads with one of the functions above; its fault becomes a ValidationError."""

    read: Callable[[Any, str], Any]

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        try:
            return type(self).read(value, attr or "the value")
        except Unreadable as fault:
            raise ValidationError(str(fault)) from fault


class EpochSeconds(_Strict):
    """Epoch seconds, loaded as aware UTC."""

    read = staticmethod(utc_from_epoch)


class Instant(_Strict):
    """RFC 3339 time, loaded as aware UTC."""

    read = staticmethod(utc_from_text)


class MinorUnits(_Strict):
    """Amount of money in a minor unit, strictly an integer."""

    read = staticmethod(minor_units)


class CurrencyCode(_Strict):
    """ISO 4217 currency code, in upper case."""

    read = staticmethod(currency_code)


class ExternalId(_Strict):
    """Id from the provider, unchanged."""

    read = staticmethod(external_id)
