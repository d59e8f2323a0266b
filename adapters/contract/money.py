"""Money amounts from providers: strictly integers in a minor unit, without coercion."""

import re
from decimal import Decimal
from typing import Any

from adapters.contract.errors import Unreadable

# Largest integer that every JSON reader represents exactly; 90 trillion in a currency with cents.
LARGEST_MINOR = 2**53 - 1

_DECIMAL = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,12})?", re.ASCII)
_CODE = re.compile(r"[A-Za-z]{3}", re.ASCII)

# ISO 4217, list one (SIX Interbank Clearing, https://www.six-group.com/dam/download/
# financial-information/data-center/iso-currrency/lists/list-one.xml); all other currencies have 2.
_EXPONENTS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


def minor_units(value: Any, name: str) -> int:
    """Return an amount in a minor unit, 0 to 2^53 - 1.

    Raises:
        Unreadable: not an integer (bool, float and string are rejected), negative or too large.
    """
    if type(value) is not int:
        raise Unreadable(f"{name} must be an integer, not {type(value).__name__}")
    if not 0 <= value <= LARGEST_MINOR:
        raise Unreadable(f"{name} must lie between 0 and {LARGEST_MINOR}")
    return value


def currency_code(value: Any, name: str) -> str:
    """Return an ISO 4217 currency code in upper case; whether it is in use is not checked.

    Raises:
        Unreadable: not three letters.
    """
    if not (isinstance(value, str) and _CODE.fullmatch(value)):
        raise Unreadable(f"{name} must be a currency code of three letters")
    return value.upper()


def minor_exponent(currency: str) -> int:
    """Return the number of decimals of the currency (ISO 4217): USD 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def minor_units_of(value: Any, currency: str, name: str) -> int:
    """Convert an amount in whole units (`"10.50"`, 10.5, 10) to the minor unit of `currency`.

    Raises:
        Unreadable: not a decimal number, negative, too large, or finer than the minor unit.
    """
    text = str(value) if type(value) in (int, float, str) else ""
    if not _DECIMAL.fullmatch(text):
        raise Unreadable(f"{name} must be a decimal number like 10.50")
    minor = Decimal(text).scaleb(minor_exponent(currency))
    if minor != int(minor):
        raise Unreadable(f"{name} is finer than the smallest unit of {currency}")
    return minor_units(int(minor), name)
