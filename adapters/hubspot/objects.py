"""Contacts and deals that a webhook only names: fetching them, and reading canonical data.

A field that HubSpot did not give is absent; so is an empty text or a null.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, fields, validate

from adapters.contract.answers import read_object
from adapters.contract.errors import Unreadable
from adapters.contract.fields import email_address, phone_e164, text
from adapters.contract.money import currency_code, minor_units_of
from adapters.contract.outbound import Call, Outcome, Verdict
from adapters.hubspot.answers import read_unfound
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.parameters import ObjectId

Properties = Mapping[str, Any]

CONTACT_PROPERTIES = ("email", "firstname", "lastname", "phone", "mobilephone", "lifecyclestage")
DEAL_PROPERTIES = ("dealname", "amount", "deal_currency_code", "dealstage", "pipeline", "closedate")
# By object: the properties to request.
FETCHED = {"contacts": CONTACT_PROPERTIES, "deals": DEAL_PROPERTIES}


def contact(properties: Properties) -> dict[str, Any]:
    """Read a contact; `status` is its lifecycle stage, `phone` a number with a country code."""
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
    """Return amount and currency, or nothing if there is no currency or too many decimals."""
    try:
        currency = currency_code(properties.get("deal_currency_code"), "deal_currency_code")
        amount = minor_units_of(properties.get("amount"), currency, "amount")
    except Unreadable:
        return {}
    return {"amount": amount, "currency": currency}


def _given(**found: str | None) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}


_KEPT = ("id", "properties", "createdAt", "updatedAt", "archived")
# Keys of HubSpot's own 404; that of another address has neither.
_SIGNS_OF_HUBSPOT = {"category", "correlationId"}


class Fetch(Schema):
    """Parameters: `object` is `contacts` or `deals`, `id` is HubSpot's id."""

    object = fields.String(required=True, validate=validate.OneOf(sorted(FETCHED)))
    id = ObjectId(required=True)


def fetch(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Fetch the object as `found`; it is `{"gone": True}` if HubSpot no longer has the object."""
    kind = parameters["object"]
    query = urlencode({"properties": ",".join(FETCHED[kind])}, safe=",")
    answer = account.read(f"/crm/v3/objects/{kind}/{parameters['id']}?{query}", call.now)
    told = read_object(answer)
    if answer.status == 404 and told and told.keys() & _SIGNS_OF_HUBSPOT:
        return Outcome(Verdict.SUCCEEDED, status=404, found={"gone": True})
    if answer.status != 200 or told is None or not isinstance(told.get("properties"), dict):
        return read_unfound(answer, call.now, account.hidden, expected="an object")
    found = {name: told[name] for name in _KEPT if name in told} | {"id": str(told.get("id"))}
    return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=found["id"], found=found)
