"""Template filters beside Jinja's own: money, dates and phones for people, and bounded texts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import orjson
from jinja2.filters import do_round

from adapters.contract.money import minor_exponent
from hub.core.errors import ExpressionError, MissingField
from hub.core.expressions.limits import MAX_TEXT, is_number, plain, present

_CURRENCY = re.compile("[A-Z]{3}")
# A currency code needs a space before the number, a currency sign does not.
_CODE_BEFORE_NUMBER = re.compile("(?<=[A-Z])(?=[0-9])")


def money(amount_minor: Any, currency: Any = None) -> str:
    """Return an amount of money as text: `4200 | money('usd')` is ``$42.00``.

    The amount is in the ISO 4217 minor unit.
    """
    _present(amount_minor, "money")
    if currency is None or isinstance(currency, jinja2.Undefined):
        raise ExpressionError("money needs the currency: `data.amount | money(data.currency)`")
    if not isinstance(amount_minor, int) or isinstance(amount_minor, bool):
        raise ExpressionError("money needs a whole number of minor units")
    # Imported here because it is slow to import, and many configurations never use it.
    from babel.numbers import format_currency

    code = str(currency).upper()
    if not _CURRENCY.fullmatch(code):
        raise ExpressionError("money needs a currency code of three letters")
    exponent = minor_exponent(code)
    pattern = "¤#,##0" + ("." + "0" * exponent if exponent else "")
    major = Decimal(amount_minor).scaleb(-exponent)
    text = format_currency(major, code, pattern, locale="en_US", currency_digits=False)
    return _CODE_BEFORE_NUMBER.sub(" ", text.replace("\xa0", " "))


@jinja2.pass_context
def date(context: Any, moment: Any, pattern: str = "d MMM yyyy") -> str:
    """Return a time as text in the site's zone: `event.occurred_at | date('d MMM yyyy, HH:mm')`.

    The pattern is Unicode's (UTS 35): `yyyy MM dd HH mm`, `EEEE` for the weekday.
    """
    _present(moment, "date")
    if isinstance(moment, str):
        moment = _instant(moment)
    if not isinstance(moment, datetime):
        raise ExpressionError("date needs a time")
    # Imported here because it is slow to import, and many configurations never use it.
    from babel.dates import format_datetime

    site = context.get("site") or {}
    zone = ZoneInfo(site.get("timezone") or "UTC")
    return format_datetime(moment, pattern, tzinfo=zone, locale="en_US")


@jinja2.pass_context
def phone(context: Any, number: Any, form: str = "e164") -> str:
    """Return a phone number in E.164, or in a form for people: `national`, `international`.

    A number without a country code is taken as a number of the site's country.
    """
    _present(number, "phone")
    # Imported here because it is slow to import, and many configurations never use it.
    import phonenumbers

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
        # Raises an error that names the field.
        bool(value)
    if value is None:
        raise MissingField(f"{name} was given nothing")


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExpressionError("date needs a time in RFC 3339") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def concatenated(parts: list[Any]) -> str:
    """Return the text of `a ~ b`; null counts as a missing field there too."""
    return "".join(str(present(part)) for part in parts)


def replaced(text: Any, old: Any, new: Any, count: Any = -1) -> str:
    """Return a text with `old` replaced by `new`, as `str.replace` does.

    Raises:
        ExpressionError: the result would be too long.
    """
    before, put_in = str(text), str(new)
    most = -1 if count is None else int(count)
    found = before.count(str(old)) if most < 0 else min(before.count(str(old)), most)
    if len(before) + found * (len(put_in) - len(str(old))) > max(MAX_TEXT, len(before)):
        raise ExpressionError(f"replace would make more than {MAX_TEXT} characters")
    return before.replace(str(old), put_in, most)


def joined(items: Any, separator: Any = "", attribute: Any = None) -> str:
    """Return the items joined to one text.

    Raises:
        ExpressionError: the text would be too long, or an `attribute` was given.
        MissingField: an item is null.
    """
    if attribute is not None:
        raise ExpressionError("join takes no attribute: `| map(attribute=...) | join`")
    parts = [str(present(item)) for item in items]
    if sum(map(len, parts)) + len(str(separator)) * len(parts) > MAX_TEXT:
        raise ExpressionError(f"join would make more than {MAX_TEXT} characters")
    return str(separator).join(parts)


def rounded(value: Any, precision: Any = 0, method: Any = "common") -> Any:
    """Return a rounded number; the number of digits is limited.

    Raises:
        ExpressionError: `precision` is not a number from 0 to 15.
    """
    if not is_number(precision) or not 0 <= precision <= 15:
        raise ExpressionError("round takes 0 to 15 digits")
    return do_round(value, precision, method)


def tojson(value: Any) -> str:
    """Return a value as JSON text."""
    return orjson.dumps(plain(value)).decode()


FILTERS: dict[str, Callable[..., Any]] = {
    "money": money,
    "date": date,
    "phone": phone,
    "join": joined,
    "replace": replaced,
    "round": rounded,
    "tojson": tojson,
}
