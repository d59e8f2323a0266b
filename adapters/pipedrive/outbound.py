"""Persons, deals and notes in Pipedrive's CRM.

**Docs**: https://developers.pipedrive.com/docs/api/v1/Persons ·
https://developers.pipedrive.com/docs/api/v1/Deals ·
https://developers.pipedrive.com/docs/api/v1/Notes ·
https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting ·
https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes
**Answers**: JSON with `success` and `data`, or `error` and sometimes `code`. 402 is a plan that
has ended. 429 comes without `Retry-After`: `x-ratelimit-reset` is about the burst window of two
seconds alone, and the daily budget (shared by all that the company uses) ends at an hour that is
not documented. A client that continues gets 403 with a Cloudflare page for a while; 403 with JSON
is a missing permission.
**Quirks**: persons have no key and no upsert, and two may have the same e-mail address: the oldest
is updated. The search lags behind by seconds to minutes, so "not found" does not mean "not there":
before a person is created, the persons changed in the last ten minutes are read too, and calls
about one address are serialized by a lock. That holds within one hub: another program, or two
people at once, can still create two persons. A write to `emails` or `phones` replaces the list: an
address is never updated, and a new number is added to the existing ones. Deals have no key either:
with `marker_field` (the key of a custom text field of deals) they carry `hub_attempt` and are found
by it; without it, by title, person, amount and time, which is inconclusive if two are alike. A
deal's value is in major units. Notes exist in version 1 of the API only; they are HTML, from which
comments, attributes and unknown tags are removed, so `hub_attempt` is the last line of the text,
where it is kept and disturbs least.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from adapters.contract.answers import judge
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    LookupResult,
    Outbound,
    Outcome,
    Probe,
    Transport,
)
from adapters.contract.requests import load_parameters
from adapters.pipedrive import deals, notes, persons
from adapters.pipedrive.answers import is_ban
from adapters.pipedrive.api import PipedriveApi
from adapters.pipedrive.parameters import AddNote, CreateDeal, UpsertPerson


def _check_token(text: str) -> None:
    if not text.isascii() or (text and not text.strip().isprintable()):
        raise ValidationError("is not an API token: those are printable ASCII, in one line")


class _Settings(Schema):
    company = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Regexp(
            r"\s*([A-Za-z0-9][A-Za-z0-9-]{0,62})?\s*\Z",
            error="expected what stands before .pipedrive.com in your address",
        ),
    )
    api_token = fields.String(load_default="", allow_none=True, validate=_check_token)
    marker_field = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Regexp(
            r"([0-9a-f]{40})?\Z", error="expected the key of a deal field: 40 hex digits"
        ),
    )


class PipedriveOutbound(Outbound):
    """Outbound adapter for one Pipedrive company, with the API token of one of its users."""

    name: ClassVar[str] = "pipedrive"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("api_token", "company|base_url")
    secrets: ClassVar[tuple[str, ...]] = ("api_token",)
    actions: ClassVar[Mapping[str, Action]] = {
        "upsert_person": Action(Effect.AT_MOST_ONCE, UpsertPerson, supports_lookup=True),
        "create_deal": Action(Effect.AT_MOST_ONCE, CreateDeal, supports_lookup=True),
        "add_note": Action(Effect.AT_MOST_ONCE, AddNote, supports_lookup=True),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._account = PipedriveApi(settings, transport)
        self._marker_field = settings.get("marker_field") or ""
        self._locks = persons.OneAtATime()

    def perform(self, call: Call) -> Outcome:
        given = load_parameters(self.actions[call.action].parameters, call.parameters)
        if call.action == "upsert_person":
            return persons.upsert_person(self._account, call, given, self._locks)
        if call.action == "create_deal":
            return deals.create_deal(self._account, call, given, marker_field=self._marker_field)
        return notes.add_note(self._account, call, given)

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        if call.action == "upsert_person":
            return persons.look_up(self._account, call, sent_at)
        if call.action == "create_deal":
            return deals.look_up(self._account, call, sent_at, marker_field=self._marker_field)
        return notes.look_up(self._account, call, sent_at)

    def probe(self) -> Probe:
        answer = self._account.read(persons.PATH, limit=1)
        if is_ban(answer):
            said = "Pipedrive answered 403 with a page and not with JSON: its guard keeps us away"
            return Probe(False, f"{said}. The token was not checked; try again in some minutes")
        if answer.status == 402:
            said = "Pipedrive answered 402: the company's plan has ended"
            return Probe(False, f"{said}. See to its billing in Pipedrive")
        return judge(
            answer,
            provider="Pipedrive",
            wrong="Put the API token of a user into `api_token` (Personal preferences, API)",
            forbidden="Let the token's user see and edit persons and deals (Permission sets), "
            "and use the API",
            good="Pipedrive accepts the token, and it may read persons",
        )

    def sandbox_answer(self, method: str, url: str) -> Answer:
        """Return a successful answer; every person that is searched for is found."""
        parts = urlsplit(url)
        path = parts.path
        data: object = {"id": 1}
        if path.endswith("/search"):
            found = {"id": 1, "emails": dict(parse_qsl(parts.query)).get("term", "").split()}
            data = {"items": [{"item": found}]}
        elif method == "GET" and path in (persons.PATH, deals.PATH, notes.PATH):
            data = []
        body = json.dumps({"success": True, "data": data}).encode()
        return Answer(200, {"content-type": "application/json"}, body)
