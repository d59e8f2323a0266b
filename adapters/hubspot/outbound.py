"""Contacts, deals, notes and e-mail subscriptions in HubSpot's CRM.

**Docs**: https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide ·
https://developers.hubspot.com/docs/api-reference/crm-deals-v3/guide ·
https://developers.hubspot.com/docs/api-reference/crm-notes-v3/guide ·
https://developers.hubspot.com/docs/api-reference/legacy/communication-preferences/v3/guide ·
https://developers.hubspot.com/docs/api-reference/error-handling
**Answers**: errors are JSON with `category`, `message` and sometimes `errors[].context`; 429 has a
`policyName`. 423 (locked) and 477 (being moved to another data centre) are temporary. A batch may
answer 207, with the failed items under `errors`.
**Quirks**: a contact is updated by e-mail address, created if none exists (404), and updated again
if another writer was faster (409, "Contact already exists. Existing ID: 123"). A merged contact is
found by its secondary addresses too, so an update never writes `email`. Property values are texts.
An empty value would erase data in the CRM, so empty and null properties are left out. A deal has no
key of its own: the account needs a deal property with unique values (`hub_delivery`, or the one
that `deal_key_property` names). The deal is looked up by it before it is created, and again if
HubSpot refuses to create it; an existing deal is left as people have edited it. Its amount goes
with `deal_currency_code`, which must be a currency of the account. A note has no key at all:
`hub_attempt` is the last line of its text. A contact that has opted out of a subscription cannot be
opted in again here (400): HubSpot leaves that to the person.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import Schema, fields, validate

from adapters.contract.answers import read_object, safe_words
from adapters.contract.errors import AccountRefused
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    LookupResult,
    LookupVerdict,
    Outbound,
    Outcome,
    Probe,
    Transport,
)
from adapters.contract.requests import load_parameters
from adapters.hubspot import contacts, deals, notes, subscriptions
from adapters.hubspot.answers import words_of
from adapters.hubspot.api import SECRETS, HubspotApi, HubspotSettings
from adapters.hubspot.objects import Fetch, fetch

_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}", re.ASCII)
_OTHER_SCOPES = (
    "Deals need crm.objects.deals.read and .write as well, subscriptions "
    "communication_preferences.read_write; that was not checked"
)


class _Settings(HubspotSettings):
    deal_key_property = fields.String(
        load_default="hub_delivery", validate=validate.Regexp(_PROPERTY.pattern + r"\Z")
    )


class HubspotOutbound(Outbound):
    """Outbound adapter for one HubSpot account, with a permanent token or OAuth."""

    name: ClassVar[str] = "hubspot"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("token|refresh_token",)
    secrets: ClassVar[tuple[str, ...]] = SECRETS
    actions: ClassVar[Mapping[str, Action]] = {
        "upsert_contact": Action(Effect.NATURAL, contacts.UpsertContact),
        "create_deal": Action(Effect.KEYED, deals.CreateDeal),
        "update_deal": Action(Effect.NATURAL, deals.UpdateDeal),
        "add_note": Action(Effect.AT_MOST_ONCE, notes.AddNote, supports_lookup=True),
        "set_subscription": Action(Effect.NATURAL, subscriptions.SetSubscription),
        "fetch": Action(Effect.NATURAL, Fetch, internal=True),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._account = HubspotApi(settings, transport)
        self._key_property = settings.get("deal_key_property") or "hub_delivery"

    def perform(self, call: Call) -> Outcome:
        parameters = load_parameters(self.actions[call.action].parameters, call.parameters)
        match call.action:
            case "upsert_contact":
                return contacts.upsert_contact(self._account, call, parameters)
            case "create_deal":
                return deals.create_deal(
                    self._account, call, parameters, key_property=self._key_property
                )
            case "update_deal":
                return deals.update_deal(self._account, call, parameters)
            case "add_note":
                return notes.add_note(self._account, call, parameters)
            case "set_subscription":
                return subscriptions.set_subscription(self._account, call, parameters)
            case _:
                return fetch(self._account, call, parameters)

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        if call.action == "add_note":
            return notes.look_up(self._account, call)
        return LookupResult(LookupVerdict.CANNOT_TELL, f"{call.action} is repeated, not looked up")

    def probe(self) -> Probe:
        try:
            answer = self._account.read(f"{contacts.PATH}?limit=1", None)
        except AccountRefused as refused:
            return Probe(False, str(refused))
        told = read_object(answer)
        if answer.status == 200 and told is not None:
            return Probe(
                True, f"HubSpot accepts the token, and it may read contacts. {_OTHER_SCOPES}"
            )
        words = safe_words(words_of(told or {}), self._account.hidden)
        said = f"HubSpot answered {answer.status}" + (f": {words}" if words else "")
        if answer.status == 401:
            return Probe(False, f"{said}. Put the access token of a private app into `token`")
        if answer.status == 403:
            return Probe(
                False,
                f"{said}. Give the app the scopes crm.objects.contacts.read and "
                f"crm.objects.contacts.write. {_OTHER_SCOPES}",
            )
        if answer.status in (423, 429, 477) or answer.status >= 500:
            return Probe(False, f"{said}. The token was not checked; try again later")
        return Probe(False, f"{said}. Is `base_url` the address of HubSpot's API?")

    def sandbox_answer(self, method: str, url: str) -> Answer:
        parts = urlsplit(url)
        if parts.path.endswith("/oauth/v3/token"):
            return _sandbox(200, {"access_token": "sandbox", "expires_in": 1800})
        if method == "GET" and f"idProperty={self._key_property}" in parts.query:
            return _sandbox(404, {"category": "OBJECT_NOT_FOUND", "message": "resource not found"})
        if method == "GET" and parts.query.startswith("properties="):
            object_id = parts.path.rpartition("/")[2]
            return _sandbox(200, {"id": object_id, "properties": {}})
        if "/associations/notes" in parts.path:
            return _sandbox(200, {"results": []})
        return _sandbox(200, {"id": "sandbox"})


def _sandbox(status: int, told: Mapping[str, Any]) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(told).encode())
