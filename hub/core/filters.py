"""The filters beside Jinja's own: money, dates and phone numbers as people write them."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from adapters.contract.money import minor_exponent
from hub.core.errors import ExpressionError, MissingField


def money(amount_minor: Any, currency: Any = None) -> str:
    """Return `4200 | money('usd')` as ``$42.00``; the amount is in the ISO 4217 minor unit."""
    _present(amount_minor, "money")
    if currency is None or isinstance(currency, jinja2.Undefined):
        raise ExpressionError("money needs the currency: `data.amount | money(data.currency)`")
    if not isinstance(amount_minor, int) or isinstance(amount_minor, bool):
        raise ExpressionError("money needs a whole number of minor units")
    from babel.numbers import format_currency  # slow to import, and many files never use it

    code = str(currency).upper()
    exponent = minor_exponent(code)
    pattern = "¤#,##0" + ("." + "0" * exponent if exponent else "")
    major = Decimal(amount_minor).scaleb(-exponent)
    text = format_currency(major, code, pattern, locale="en_US", currency_digits=False)
    return text.replace("\xa0", " ")


@jinja2.pass_context
def date(context: Any, moment: Any, pattern: str = "d MMM yyyy") -> str:
    """Return a time in the site's zone: `event.occurred_at | date('d MMM yyyy, HH:mm')`.

    The pattern is Unicode's (UTS 35): `yyyy MM dd HH mm`, `EEEE` for the weekday.
    """
    _present(moment, "date")
    if isinstance(moment, str):
        moment = _instant(moment)
    if not isinstance(moment, datetime):
        raise ExpressionError("date needs a time")
    from babel.dates import format_datetime  # slow to import, and many files never use it

    site = context.get("site") or {}
    zone = ZoneInfo(site.get("timezone") or "UTC")
    return format_datetime(moment, pattern, tzinfo=zone, locale="en_US")


@jinja2.pass_context
def phone(context: Any, number: Any, form: str = "e164") -> str:
    """Return a phone number in E.164, or for people: `national`, `international`.

    A number without a country code is read as one of the site's country.
    """
    _present(number, "phone")
    import phonenumbers  # slow to import, and many files never use it

    site = context.get("site") or {}
    forms = {
        "e164": phonenumbers.PhoneNumberFormat.E164,
        "national": phonenumbers.PhoneNumberFormat.NATIONAL,
        "international": phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    }
    if form not in forms:
        raise ExpressionError(f"phone knows {', '.join(forms)}")
    try:
        parsed = phonenumbers.parse(str(number), site.get("country") or "US")
    except phonenumbers.NumberParseException as error:
        raise ExpressionError("phone was given something that is not a phone number") from error
    if not phonenumbers.is_possible_number(parsed):
        raise ExpressionError("phone was given something that is not a phone number")
    return phonenumbers.format_number(parsed, forms[form])


def _present(value: Any, name: str) -> None:
    if isinstance(value, jinja2.Undefined):
        bool(value)  # raises, naming the field
    if value is None:
        raise MissingField(f"{name} was given nothing")


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExpressionError("date needs a time in RFC 3339") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


FILTERS: dict[str, Callable[..., Any]] = {"money": money, "date": date, "phone": phone}
