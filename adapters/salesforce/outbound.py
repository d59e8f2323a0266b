"""Records and tasks in a Salesforce org.

**Docs**: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm ·
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm ·
https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_client_credentials_flow.htm ·
https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm
**Answers**: 201 is created and 200 updated, with `id` and `success`; 204 updated in old versions;
300 means that several records have the external id, and none was written. Errors are a JSON list of
`errorCode` and `message`. 401 `INVALID_SESSION_ID` is an expired token: a new one is requested and
the call repeated, once, since a 401 has no effect. 403 `REQUEST_LIMIT_EXCEEDED` (24 hours, rolling)
and 400 `UNABLE_TO_LOCK_ROW` are temporary. There is no `Retry-After`.
**Quirks**: a token does not say when it expires, so it is used for at most 50 minutes and kept in
memory only. Calls go to the `instance_url` that came with it, unless `base_url` is set. A JWT's
audience is test.salesforce.com for a sandbox org (`.sandbox.` in `domain`). The external id is part
of the path: one with a dot, like every e-mail address, may not be found there (404), so a separate
key field is better. Tasks have no key: with `task_key_field` (an external id of Task) they are
upserted by the delivery's key; without it, `hub_attempt` is the last line of their description,
which no query can filter by, so the tasks created around that time are read. Empty values are left
out.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema

from adapters.contract.answers import judge
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
from adapters.salesforce import records, tasks
from adapters.salesforce.api import SECRETS, SalesforceApi, SalesforceSettings
from adapters.salesforce.oauth import PATH as TOKEN_PATH
from adapters.salesforce.oauth import NoTokenNow


class SalesforceOutbound(Outbound):
    """Outbound adapter for one org, through a connected app."""

    name: ClassVar[str] = "salesforce"
    settings_schema: ClassVar[type[Schema]] = SalesforceSettings
    credentials: ClassVar[tuple[str, ...]] = (
        "client_id",
        "client_secret|private_key",
        "domain|base_url",
    )
    secrets: ClassVar[tuple[str, ...]] = SECRETS
    actions: ClassVar[Mapping[str, Action]] = {
        "upsert": Action(Effect.NATURAL, records.Upsert),
        "create_task": Action(Effect.AT_MOST_ONCE, tasks.CreateTask, supports_lookup=True),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._account = SalesforceApi(settings, transport)
        self._task_key_field = settings.get("task_key_field") or ""

    def perform(self, call: Call) -> Outcome:
        given = load_parameters(self.actions[call.action].parameters, call.parameters)
        if call.action == "upsert":
            return records.upsert(self._account, call, given)
        return tasks.create_task(self._account, call, given, key_field=self._task_key_field)

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        if call.action == "create_task":
            return tasks.look_up(self._account, call, sent_at, key_field=self._task_key_field)
        return LookupResult(LookupVerdict.CANNOT_TELL, f"{call.action} is repeated, not looked up")

    def probe(self) -> Probe:
        try:
            answer = self._account.probe()
        except AccountRefused as refused:
            return Probe(False, str(refused))
        except NoTokenNow as passing:
            return Probe(False, f"{passing}. The credentials were not checked; try again later")
        if answer.status == 404:
            said = "Salesforce answered 404: the credentials are good"
            return Probe(False, f"{said}, but the org has no such `api_version`")
        return judge(
            answer,
            provider="Salesforce",
            wrong="Let the connected app have the scope `api`",
            forbidden="Give the app's user the permission `API Enabled`",
            good="Salesforce accepts the credentials, and its API may be used",
        )

    def sandbox_answer(self, method: str, url: str) -> Answer:
        """Return a token, or the answer to the creation of a record."""
        told: Mapping[str, Any] = {"id": "sandbox", "success": True, "errors": [], "created": True}
        if url.endswith(TOKEN_PATH):
            told = {"access_token": "sandbox", "token_type": "Bearer"}
        body = json.dumps(told).encode()
        return Answer(201, {"content-type": "application/json"}, body)
