"""The object that a webhook only names, read for the hub itself."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, fields, validate

from adapters.contract.answers import read_object
from adapters.contract.outbound import Call, Outcome, Verdict
from adapters.hubspot.accounts import Account
from adapters.hubspot.answers import read_unfound
from adapters.hubspot.objects import FETCHED
from adapters.hubspot.parameters import ObjectId

_KEPT = ("id", "properties", "createdAt", "updatedAt", "archived")
_SIGNS_OF_HUBSPOT = {"category", "correlationId"}  # a 404 of another address has neither


class Fetch(Schema):
    """`object` is contacts or deals, `id` HubSpot's id."""

    object = fields.String(required=True, validate=validate.OneOf(sorted(FETCHED)))
    id = ObjectId(required=True)


def fetch(account: Account, call: Call, parameters: Mapping[str, Any]) -> Outcome:
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
