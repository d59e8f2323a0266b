"""Client for one Salesforce org: settings, and calls that renew a rejected token once."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.access_tokens import AccessTokens, Grant
from adapters.contract.answers import read
from adapters.contract.outbound import Answer, Transport
from adapters.contract.requests import json_body
from adapters.salesforce.answers import code_of
from adapters.salesforce.oauth import Authorization, check_private_key

SECRETS = ("client_secret", "private_key")
API_VERSION = "62.0"
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}", re.ASCII)

_HOST = r"\s*([A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?)?\s*\Z"


class SalesforceSettings(Schema):
    """Settings; `private_key` (of an app with a certificate) has priority over `client_secret`."""

    domain = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Regexp(_HOST, error="expected a host like acme.my.salesforce.com"),
    )
    client_id = fields.String(load_default="", allow_none=True)
    client_secret = fields.String(load_default="", allow_none=True)
    username = fields.String(load_default="", allow_none=True)
    private_key = fields.String(load_default="", allow_none=True, validate=check_private_key)
    api_version = fields.String(
        load_default=API_VERSION,
        validate=validate.Regexp(
            r"v?[1-9][0-9]{1,2}\.0\Z", error=f"expected a version like {API_VERSION}"
        ),
    )
    task_key_field = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Regexp(
            rf"({FIELD.pattern})?\Z", error="expected the API name of a field: Hub_Key__c"
        ),
    )

    @validates_schema
    def _whose(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data.get("private_key") or "").strip() and not (data.get("username") or "").strip():
            raise ValidationError("`private_key` signs in a user: say which", "username")


class SalesforceApi:
    """Client that requests its own tokens; `hidden` are the texts that no message may show."""

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        domain = (settings.get("domain") or "").strip().lower() or "sandbox.my.salesforce.com"
        self._base_url = (settings.get("base_url") or "").rstrip("/")
        self._home = self._base_url or f"https://{domain}"
        version = (settings.get("api_version") or API_VERSION).removeprefix("v")
        self._data = f"/services/data/v{version}"
        self._authorization = Authorization(settings, self._home, transport)
        self._tokens = AccessTokens(self._authorization.ask)
        self._transport = transport

    @property
    def hidden(self) -> tuple[str, ...]:
        """Return the texts that are removed from the provider's messages."""
        return self._authorization.hidden

    def write(self, method: str, path: str, value: Mapping[str, Any], now: datetime) -> Answer:
        """Send a request that has an effect; return the answer.

        Raises:
            AccountRefused: there is no token.
            InvalidParameters: `fields` has a value that JSON cannot express.
            TransportError: there was no answer.
        """
        body = json_body(value, parameter="fields")
        grant = self._tokens.current(now)
        answer = self._send(grant, method, path, body)
        if not _is_worn_out(answer):
            return answer
        return self._send(self._tokens.renewed(grant, now), method, path, body)

    def query(self, soql: str, now: datetime) -> Answer:
        """Send a SOQL query; return the answer.

        Raises:
            AccountRefused: there is no token.
            NotSent: there was no answer.
        """
        path = f"/query?{urlencode({'q': soql})}"
        grant = self._tokens.current(now)
        answer = self._read(grant, path)
        if not _is_worn_out(answer):
            return answer
        return self._read(self._tokens.renewed(grant, now), path)

    def probe(self) -> Answer:
        """Request the API's root with a new token; return the answer.

        Raises:
            AccountRefused: there is no token.
            NotSent: there was no answer.
        """
        return self._read(self._authorization.ask(None), "/")

    def _read(self, grant: Grant, path: str) -> Answer:
        return read(self._transport, self._url(grant, path), headers=_headers(grant))

    def _send(self, grant: Grant, method: str, path: str, body: bytes) -> Answer:
        headers = _headers(grant) | {"content-type": "application/json"}
        return self._transport.send(method, self._url(grant, path), headers=headers, body=body)

    def _url(self, grant: Grant, path: str) -> str:
        return (self._base_url or grant.base_url or self._home) + self._data + path


def _headers(grant: Grant) -> dict[str, str]:
    return {"authorization": f"Bearer {grant.token}", "accept": "application/json"}


def _is_worn_out(answer: Answer) -> bool:
    """Return whether the token was rejected: a 401 had no effect, so the call may be repeated."""
    return answer.status == 401 and code_of(answer) in ("INVALID_SESSION_ID", None)
