"""Conversion between Stripe's smallest currency unit and the ISO 4217 minor unit of the hub.

The two are equal except for a few currencies. Stripe has no decimals for MGA, where ISO 4217 has
two; for ISK and UGX it keeps two decimals, always zero, where ISO 4217 has none.
https://docs.stripe.com/currencies#zero-decimal
"""

from typing import Any

from adapters.contract.errors import InvalidParameters, Unreadable
from adapters.contract.money import LARGEST_MINOR, currency_code, minor_exponent, minor_units

_ZERO_DECIMAL = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())


def money(amount: Any, currency: Any) -> dict[str, Any]:
    """Return `amount` and `currency` as canonical data; each is absent if Stripe gave none.

    Raises:
        Unreadable: the amount is not an integer or is negative, comes without a currency, or is a
            fraction of a unit that the currency does not have.
    """
    if amount is None:
        return {} if currency is None else {"currency": currency_code(currency, "currency")}
    code = currency_code(currency, "currency")
    return {"amount": _iso_minor(minor_units(amount, "amount"), code), "currency": code}


def stripe_amount(amount: int, currency: str, *, parameter: str = "amount") -> int:
    """Return an amount in Stripe's unit, converted from the ISO 4217 minor unit.

    `currency` is in capitals.

    Raises:
        InvalidParameters: Stripe has no unit that small, or no number that large; names
            `parameter`.
    """
    shift = _exponent(currency) - minor_exponent(currency)
    factor: int = 10 ** abs(shift)
    if shift >= 0:
        if amount * factor > LARGEST_MINOR:
            raise InvalidParameters({parameter: f"is too large for {currency}"})
        return amount * factor
    whole, rest = divmod(amount, factor)
    if rest:
        fault = f"must be a multiple of {factor}: Stripe counts {currency} in larger units"
        raise InvalidParameters({parameter: fault})
    return whole


def _iso_minor(amount: int, currency: str) -> int:
    shift = minor_exponent(currency) - _exponent(currency)
    if shift >= 0:
        return minor_units(amount * 10**shift, "amount")
    units: int = 10**-shift
    whole, rest = divmod(amount, units)
    if rest:
        raise Unreadable(f"amount is not a whole {currency}, which has no smaller unit")
    return whole


def _exponent(currency: str) -> int:
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2
