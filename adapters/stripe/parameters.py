"""Parameter fields and validators that several of Stripe's actions share."""

import re
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields, validate

from adapters.contract.fields import CurrencyCode, MinorUnits
from adapters.contract.requests import check_said

DESCRIPTION_LENGTH = 500
MOST_UNITS = 1_000_000


def check_id(*prefixes: str) -> Callable[[str], None]:
    """Return a marshmallow validator for Stripe ids that begin with one of `prefixes`."""
    pattern = re.compile(f"(?:{'|'.join(prefixes)})_[A-Za-z0-9_]{{1,200}}")
    named = " or ".join(f"{prefix}_..." for prefix in prefixes)

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValidationError(f"expected an id of Stripe's like {named}")

    return check


def check_text(text: str) -> None:
    """Validate that a text is not blank and has a form in UTF-8 (a marshmallow validator).

    Raises:
        ValidationError: the text is blank, or has half a character (a lone surrogate).
    """
    check_said(text)
    check_characters(text)


def check_characters(text: str) -> None:
    """Validate that a text has a form in UTF-8 (a marshmallow validator).

    Raises:
        ValidationError: the text has half a character (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError("has half a character in it") from None


def amount(**options: Any) -> MinorUnits:
    """Return a field for an amount of money: an integer above 0 in the ISO 4217 minor unit."""
    return MinorUnits(validate=validate.Range(min=1), **options)


def quantity() -> MinorUnits:
    """Return a field for the number of units sold; the default is 1."""
    return MinorUnits(load_default=1, validate=validate.Range(min=1, max=MOST_UNITS))


def currency(**options: Any) -> CurrencyCode:
    """Return a field for an ISO 4217 currency code."""
    return CurrencyCode(**options)


def description(**options: Any) -> fields.String:
    """Return a field for the text that the customer reads beside an amount."""
    long = validate.Length(max=DESCRIPTION_LENGTH)
    return fields.String(validate=[check_text, long], **options)
