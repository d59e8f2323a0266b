"""The object that a webhook only names, read for the hub itself.

What a contact or deal that was fetched says, in the names that every provider's data has.

A field that HubSpot did not give is absent: its empty texts and nulls too.
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
# By object: the properties that are asked for.
FETCHED = {"contacts": CONTACT_PROPERTIES, "deals": DEAL_PROPERTIES}


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


_KEPT = ("id", "properties", "createdAt", "updatedAt", "archived")
_SIGNS_OF_HUBSPOT = {"category", "correlationId"}  # a 404 of another address has neither


class Fetch(Schema):
    """`object` is contacts or deals, `id` HubSpot's id."""

    object = fields.String(required=True, validate=validate.OneOf(sorted(FETCHED)))
    id = ObjectId(required=True)


def fetch(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Return the object as `found`, or that it is gone."""
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
