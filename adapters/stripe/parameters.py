"""Parameters that several of Stripe's actions take, and what is accepted as them."""

import re
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields, validate

from adapters.contract.fields import CurrencyCode, MinorUnits
from adapters.contract.requests import check_said

DESCRIPTION_LENGTH = 500
MOST_UNITS = 1_000_000


def check_id(*prefixes: str) -> Callable[[str], None]:
    """Return a marshmallow validator of Stripe ids that begin with one of `prefixes`."""
    pattern = re.compile(f"(?:{'|'.join(prefixes)})_[A-Za-z0-9_]{{1,200}}")
    named = " or ".join(f"{prefix}_..." for prefix in prefixes)

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValidationError(f"expected an id of Stripe's like {named}")

    return check


def check_text(text: str) -> None:
    """Accept a text that says something; a marshmallow validator.

    Raises:
        ValidationError: it is empty, or no text at all.
    """
    check_said(text)
    check_characters(text)


def check_characters(text: str) -> None:
    """Accept a text that has a form in UTF-8; a marshmallow validator.

    Raises:
        ValidationError: it has half a character (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError("has half a character in it") from None


def amount(**options: Any) -> MinorUnits:
    """Return a field for money to ask for: an integer above 0 in the ISO 4217 minor unit."""
    return MinorUnits(validate=validate.Range(min=1), **options)


def quantity() -> MinorUnits:
    """Return a field for how many of something are sold: 1 when nothing is said."""
    return MinorUnits(load_default=1, validate=validate.Range(min=1, max=MOST_UNITS))


def currency(**options: Any) -> CurrencyCode:
    """Return a field for an ISO 4217 code."""
    return CurrencyCode(**options)


def description(**options: Any) -> fields.String:
    """Return a field for what the customer reads beside an amount."""
    long = validate.Length(max=DESCRIPTION_LENGTH)
    return fields.String(validate=[check_text, long], **options)
