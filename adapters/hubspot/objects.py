"""What a contact or deal that was fetched says, in the names that every provider's data has.

A field that HubSpot did not give is absent: its empty texts and nulls too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.fields import email_address, phone_e164, text
from adapters.contract.money import currency_code, minor_units_of

Properties = Mapping[str, Any]

CONTACT_PROPERTIES = ("email", "firstname", "lastname", "phone", "mobilephone", "lifecyclestage")
DEAL_PROPERTIES = ("dealname", "amount", "deal_currency_code", "dealstage", "pipeline", "closedate")
FETCHED = {"contacts": CONTACT_PROPERTIES, "deals": DEAL_PROPERTIES}
"""By object: the properties that are asked for."""


def contact(properties: Properties) -> dict[str, Any]:
    """Read a contact; `status` is its lifecycle stage, the phone one that says its country."""
    names = (text(properties.get(key)) for key in ("firstname", "lastname"))
    phone = phone_e164(properties.get("phone")) or phone_e164(properties.get("mobilephone"))
    return _given(
        email=email_address(properties.get("email")),
        phone=phone,
        name=" ".join(name.strip() for name in names if name) or None,
        status=text(properties.get("lifecyclestage")),
    )


def deal(properties: Properties) -> dict[str, Any]:
    """Read a deal; `status` is its stage, the amount is in the deal's own currency."""
    return _money(properties) | _given(
        name=text(properties.get("dealname")), status=text(properties.get("dealstage"))
    )


READERS: Mapping[str, Callable[[Properties], dict[str, Any]]] = {"contacts": contact, "deals": deal}


def _money(properties: Properties) -> dict[str, Any]:
    """Both or neither: an amount without a currency, or finer than its cents, is no money."""
    try:
        currency = currency_code(properties.get("deal_currency_code"), "deal_currency_code")
        amount = minor_units_of(properties.get("amount"), currency, "amount")
    except Unreadable:
        return {}
    return {"amount": amount, "currency": currency}


def _given(**found: str | None) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
