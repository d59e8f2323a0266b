"""Contacts: created or updated by e-mail address, and looked up by it."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, fields

from adapters.contract.answers import read_object
from adapters.contract.outbound import Answer, Call, Outcome, Verdict
from adapters.contract.requests import check_email
from adapters.hubspot.answers import is_ref, read_unfound, read_written
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.parameters import check_properties, is_id, texts

PATH = "/crm/v3/objects/contacts"

_EXISTING_ID = re.compile(r"Existing ID: ([0-9]+)")
_NOBODY = "No contact has this address: let a route with `upsert_contact` make it first"


class UpsertContact(Schema):
    """Parameters: `email`, and the `properties` to set; empty ones stay unchanged."""

    email = fields.String(required=True, validate=check_email)
    properties = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), validate=check_properties
    )


def upsert_contact(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Update the contact with that address, or create it; update it if another call was faster."""
    email = parameters["email"].strip()
    properties = texts(parameters.get("properties", {}))
    properties.pop("email", None)

    def update(path: str) -> Answer:
        return account.send("PATCH", path, {"properties": properties}, call.now)

    def outcome(answer: Answer, verdict: Verdict | None = None) -> Outcome:
        return read_written(answer, call.now, account.hidden, expected="a contact", verdict=verdict)

    answer = update(by_email(email))
    if answer.status != 404:
        return outcome(answer)
    created = {"properties": {**properties, "email": email}}
    answer = account.send("POST", PATH, created, call.now)
    if answer.status != 409:
        return outcome(answer)
    answer = update(_by_existing_id(answer) or by_email(email))
    return outcome(answer, Verdict.NOT_PROCESSED if answer.status == 404 else None)


def find_contact(account: HubspotApi, call: Call, person: str) -> str | Outcome:
    """Return HubSpot's id of a contact, or the outcome of the call if there is none."""
    if is_id(person):
        return person
    answer = account.read(by_email(person), call.now)
    ref = (read_object(answer) or {}).get("id")
    if answer.status == 200 and is_ref(ref):
        return str(ref)
    hint = _NOBODY if answer.status == 404 else ""
    return read_unfound(answer, call.now, account.hidden, expected="a contact", hint=hint)


def by_email(email: str) -> str:
    """Return the API path of the contact with that primary or secondary address."""
    return f"{PATH}/{quote(email, safe='')}?idProperty=email"


def _by_existing_id(answer: Answer) -> str | None:
    found = _EXISTING_ID.search(str((read_object(answer) or {}).get("message")))
    return f"{PATH}/{found[1]}" if found else None
