"""Client for the API of one HubSpot account: settings, access tokens and calls.

The credential is either a permanent token (of a private app or a service key), or OAuth: access
tokens that last half an hour, requested with the refresh token, which stays the same.
https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, ValidationError, fields, validates_schema

from adapters.contract.access_tokens import AccessTokens, Grant
from adapters.contract.answers import read, read_object, safe_words
from adapters.contract.errors import AccountRefused, NotSent
from adapters.contract.outbound import Answer, Transport
from adapters.contract.requests import json_body
from adapters.hubspot.answers import words_of

OAUTH = ("client_id", "client_secret", "refresh_token")
SECRETS = ("token", "client_secret", "refresh_token")

_ADDRESS = "https://api.hubapi.com"
_TOKEN_PATH = "/oauth/v3/token"  # noqa: S105 - an address, not a secret
_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST_S = 86_400
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


class HubspotSettings(Schema):
    """Settings: `token`, or `client_id`, `client_secret`, `refresh_token`; sandbox without either.

    `deal_key_property` is the unique property of deals that holds the delivery's key.
    """

    token = fields.String(load_default="", allow_none=True)
    client_id = fields.String(load_default="", allow_none=True)
    client_secret = fields.String(load_default="", allow_none=True)
    refresh_token = fields.String(load_default="", allow_none=True)

    @validates_schema
    def _one_way(self, data: Mapping[str, Any], **_: Any) -> None:
        given = [key for key in OAUTH if _text(data, key)]
        missing = [key for key in OAUTH if key not in given]
        if given and missing:
            names = ", ".join(f"`{key}`" for key in missing)
            raise ValidationError(f"OAuth needs {names} too", missing[0])
        if given and _text(data, "token"):
            raise ValidationError("give either `token` or OAuth, not both", "token")


class HubspotApi:
    """Client for one account that sends a valid token with each call; shared by many threads."""

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._transport = transport
        self._base_url = (settings.get("base_url") or _ADDRESS).rstrip("/")
        self._token = _text(settings, "token")
        self._oauth = {key: _text(settings, key) for key in OAUTH}
        self._tokens = AccessTokens(self._ask) if self._oauth["refresh_token"] else None
        self._secrets = tuple(filter(None, (_text(settings, key) for key in SECRETS)))
        self.hidden = self._secrets

    def send(self, method: str, path: str, value: object, now: datetime) -> Answer:
        """Send a request that may change something; return the answer.

        Raises:
            AccountRefused: there is no access token; nothing was sent.
            NotSent, AnswerLost: there was no answer.
        """
        headers, body = _written(value)

        def make(token: str) -> Answer:
            headers["authorization"] = f"Bearer {token}"
            return self._transport.send(method, self._base_url + path, headers=headers, body=body)

        return self._with_token(make, now)

    def read(self, path: str, now: datetime | None, value: object = None) -> Answer:
        """Send a read-only request, a search if there is a `value`; return the answer.

        If `now` is None, a new access token is requested.

        Raises:
            AccountRefused: there is no access token.
            NotSent: there was no whole answer.
        """
        headers, body = _written(value)

        def make(token: str) -> Answer:
            headers["authorization"] = f"Bearer {token}"
            url, method = self._base_url + path, "POST" if body else "GET"
            return read(self._transport, url, headers=headers, method=method, body=body)

        return self._with_token(make, now)

    def _with_token(self, make: Callable[[str], Answer], now: datetime | None) -> Answer:
        if self._tokens is None:
            return make(self._token)
        if now is None:
            return make(self._ask(_ONCE).token)
        grant = self._tokens.current(now)
        answer = make(grant.token)
        # A 401 had no effect, so the call may be repeated.
        if answer.status == 401:
            answer = make(self._tokens.renewed(grant, now).token)
        return answer

    def _ask(self, now: datetime) -> Grant:
        headers = {
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
        }
        body = urlencode({"grant_type": "refresh_token", **self._oauth}).encode("ascii")
        url = self._base_url + _TOKEN_PATH
        # May be repeated: HubSpot keeps the refresh token, so that a lost response voids nothing.
        answer = read(self._transport, url, headers=headers, method="POST", body=body)
        told = read_object(answer) or {}
        token, lasts_s = told.get("access_token"), told.get("expires_in")
        if answer.status == 200 and _is_token(token) and type(lasts_s) is int and lasts_s > 0:
            self.hidden = (*self._secrets, str(token))
            return Grant(str(token), now + timedelta(seconds=min(lasts_s, _LONGEST_S)))
        said = f"HubSpot answered {answer.status} when asked for an access token"
        if answer.status in (400, 401, 403):
            words = safe_words(words_of(told), self.hidden)
            raise AccountRefused(
                f"{said}: {words}. Check `client_id` and `client_secret`; if the app was removed "
                "from the account, install it again and put its new `refresh_token` there"
            )
        raise NotSent(f"{said}, and gave none")


def _written(value: object) -> tuple[dict[str, str], bytes]:
    headers = {"accept": "application/json"}
    if value is None:
        return headers, b""
    headers["content-type"] = "application/json"
    return headers, json_body(value, parameter="properties")


def _is_token(token: object) -> bool:
    return isinstance(token, str) and _TOKEN.fullmatch(token) is not None


def _text(settings: Mapping[str, Any], key: str) -> str:
    return str(settings.get(key) or "").strip()
