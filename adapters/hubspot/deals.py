"""Deals: created once, by a unique property with the delivery's key, and updated by id."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.answers import read_object
from adapters.contract.outbound import Answer, Call, Outcome, Verdict
from adapters.contract.requests import Minor, check_said
from adapters.hubspot.answers import is_ref, read_unfound, read_written
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.contacts import find_contact
from adapters.hubspot.parameters import (
    ContactProperties,
    ObjectId,
    check_close_date,
    check_properties,
    close_date_ms,
    major_units,
    texts,
)

PATH = "/crm/v3/objects/deals"

_TO_CONTACT = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}


class _Deal(Schema):
    amount = Minor()
    currency = fields.String(validate=validate.Regexp(r"[A-Za-z]{3}\Z"))
    stage = fields.String(validate=check_said)
    pipeline = fields.String(validate=check_said)
    close_date = fields.String(validate=check_close_date)
    properties = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), validate=check_properties
    )

    @validates_schema
    def _both(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("amount" in data) != ("currency" in data):
            missing = "currency" if "amount" in data else "amount"
            raise ValidationError("`amount` and `currency` go together", missing)


class CreateDeal(_Deal):
    """Parameters: `name`, and optional fields; `contact` is an e-mail address or HubSpot's id."""

    name = fields.String(required=True, validate=check_said)
    contact = ContactProperties()


class UpdateDeal(_Deal):
    """Parameters: `deal` is HubSpot's id; fields that are not given stay unchanged."""

    deal = ObjectId(required=True)
    name = fields.String(validate=check_said)


def create_deal(
    account: HubspotApi, call: Call, parameters: Mapping[str, Any], *, key_property: str
) -> Outcome:
    """Create the deal, unless one with the delivery's key exists; that one is left as it is."""
    contact = find_contact(account, call, parameters["contact"]) if "contact" in parameters else ""
    if isinstance(contact, Outcome):
        return contact
    found = _look(account, call, key_property)
    if found.status != 404:
        return _found(account, call, found, key_property)
    properties = _properties(parameters) | {key_property: call.key}
    associations = [{"to": {"id": contact}, "types": [_TO_CONTACT]}] if contact else []
    created = {"properties": properties, "associations": associations}
    answer = account.send("POST", PATH, created, call.now)
    # An earlier attempt of this delivery may have arrived in between.
    if answer.status in (400, 409):
        found = _look(account, call, key_property)
        if found.status == 200:
            return _found(account, call, found, key_property)
    hint = _how_to_make(key_property) if _is_about(answer, key_property) else ""
    return read_written(answer, call.now, account.hidden, expected="a deal", hint=hint)


def update_deal(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Set the given fields of an existing deal."""
    path = f"{PATH}/{parameters['deal']}"
    answer = account.send("PATCH", path, {"properties": _properties(parameters)}, call.now)
    hint = "No deal has this id" if answer.status == 404 else ""
    return read_written(answer, call.now, account.hidden, expected="a deal", hint=hint)


def _look(account: HubspotApi, call: Call, key_property: str) -> Answer:
    return account.read(f"{PATH}/{quote(call.key, safe='')}?idProperty={key_property}", call.now)


def _found(account: HubspotApi, call: Call, answer: Answer, key_property: str) -> Outcome:
    """Return success for a deal with the delivery's key, else the outcome of the failed look-up."""
    ref = (read_object(answer) or {}).get("id")
    if answer.status == 200 and is_ref(ref):
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=str(ref))
    hint = _how_to_make(key_property) if answer.status == 400 else ""
    return read_unfound(answer, call.now, account.hidden, expected="a deal", hint=hint)


def _is_about(answer: Answer, key_property: str) -> bool:
    return answer.status == 400 and key_property.encode("ascii") in answer.body


def _how_to_make(key_property: str) -> str:
    return (
        f"Is there a deal property `{key_property}`? Make it in HubSpot (Settings, Properties, "
        "Deal properties): single-line text, with that internal name and `Require unique values`"
    )


def _properties(parameters: Mapping[str, Any]) -> dict[str, str]:
    named = {
        "dealname": parameters.get("name"),
        "dealstage": parameters.get("stage"),
        "pipeline": parameters.get("pipeline"),
    }
    if "amount" in parameters:
        currency = parameters["currency"].upper()
        named["amount"] = major_units(parameters["amount"], currency)
        named["deal_currency_code"] = currency
    if "close_date" in parameters:
        named["closedate"] = str(close_date_ms(parameters["close_date"]))
    return texts(parameters.get("properties", {})) | texts(named)
