"""Parameter fields that HubSpot's actions share, and conversion to HubSpot's formats."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from adapters.contract.money import minor_exponent
from adapters.contract.requests import check_email

_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class ObjectId(fields.Field[str]):
    """Field for HubSpot's id of an object: digits, as a text or a number."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        written = str(value).strip() if type(value) in (int, str) else ""
        if not _ID.fullmatch(written):
            raise ValidationError("expected HubSpot's id: digits")
        return written


class ContactProperties(fields.Field[str]):
    """Field for a contact: its e-mail address, or HubSpot's id of it."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        written = str(value).strip() if type(value) in (int, str) else ""
        if not is_id(written):
            check_email(written)
        return written


def is_id(person: str) -> bool:
    """Return whether a contact is given by HubSpot's id."""
    return _ID.fullmatch(person) is not None


def check_properties(properties: Mapping[str, object]) -> None:
    """Validate that HubSpot can store the values (a marshmallow validator).

    Raises:
        ValidationError: a value is a list, a mapping, or not a finite number.
    """
    for name, value in properties.items():
        if not isinstance(value, str | int | float | None):
            raise ValidationError(f"{name}: expected a text, a number, true or false")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValidationError(f"{name}: is not a finite number")


def check_close_date(text: str) -> None:
    """Validate a day, or a time with its UTC offset (a marshmallow validator).

    Raises:
        ValidationError: the text is neither.
    """
    close_date_ms(text)


def close_date_ms(text: str) -> int:
    """Return a day or a time in milliseconds since 1970.

    A day becomes noon in UTC: HubSpot shows times in the account's time zone, where midnight in UTC
    falls on the day before, all over America.

    Raises:
        ValidationError: the text is neither.
    """
    written = text.strip()
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        at = None
    if at is not None and _DAY.fullmatch(written):
        at = at.replace(hour=12, tzinfo=UTC)
    if at is None or at.tzinfo is None or at.year < 1970:
        raise ValidationError("expected a day like 2026-12-01 or a time like 2026-12-01T09:00:00Z")
    return int(at.timestamp()) * 1000


def texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts for HubSpot, without empty ones, which would erase data there."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in properties.items()
        if value is not None and str(value).strip()
    }


def major_units(amount: int, currency: str) -> str:
    """Return an amount in the minor unit as a decimal number of the major unit."""
    exponent = minor_exponent(currency)
    return f"{Decimal(amount).scaleb(-exponent):.{exponent}f}"
