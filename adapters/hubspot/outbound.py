"""Contacts in HubSpot's CRM.

**Docs**: https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide and
https://developers.hubspot.com/docs/api-reference/error-handling
**Answers**: errors are JSON with `category`, `message` and sometimes `errors[].context`; 429 has a
`policyName`. 423 (locked) and 477 (being moved to another data centre) pass by themselves.
**Quirks**: a contact is updated by e-mail, created when there is none (404), and updated again when
another writer was faster (409, "Contact already exists. Existing ID: 123"). A merged contact is
found by its secondary addresses too, so an update never writes `email`. Property values are texts.
An empty value would erase what the CRM knows, so empty and null properties are left out.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields

from adapters.contract.answers import read_answer, read_object, safe_words
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Probe,
    Transport,
    Verdict,
)
from adapters.contract.sending import json_body, load_parameters

VERDICTS = {423: Verdict.NOT_PROCESSED, 477: Verdict.NOT_PROCESSED}
WAITS_S = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 3600.0}
"""By `policyName`, when there is no `Retry-After`; a daily limit ends at the account's midnight."""

_LOCKED_S = 2.0
_CONTACTS = "/crm/v3/objects/contacts"
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f/]{1,255}")
_EXISTING_ID = re.compile(r"Existing ID: ([0-9]+)")
_SCOPE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def _check_email(email: str) -> None:
    if not _EMAIL.fullmatch(email.strip()) or not email.isprintable():
        raise ValidationError("expected an e-mail address like jane@example.org")


def _check_properties(properties: Mapping[str, object]) -> None:
    for name, value in properties.items():
        if not isinstance(value, str | int | float | None):
            raise ValidationError(f"{name}: expected a text, a number, true or false")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValidationError(f"{name}: is not a finite number")


class _Settings(Schema):
    token = fields.String(load_default="", allow_none=True)


class _UpsertContact(Schema):
    email = fields.String(required=True, validate=_check_email)
    properties = fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), validate=_check_properties
    )


class HubspotOutbound(Outbound):
    """Upserts contacts by e-mail, with a private app's token."""

    name: ClassVar[str] = "hubspot"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("token",)
    secrets: ClassVar[tuple[str, ...]] = ("token",)
    actions: ClassVar[Mapping[str, Action]] = {
        "upsert_contact": Action(Effect.NATURAL, _UpsertContact)
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._token = (settings.get("token") or "").strip()
        self._base_url = (settings.get("base_url") or "https://api.hubapi.com").rstrip("/")
        self._transport = transport

    def perform(self, call: Call) -> Outcome:
        parameters = load_parameters(self.actions[call.action].parameters, call.parameters)
        email = parameters["email"].strip()
        properties = _texts(parameters.get("properties", {}))
        answer = self._update(_by_email(email), properties)
        if answer.status != 404:
            return self._read(answer, call.now)
        answer = self._send("POST", "", {"properties": {**properties, "email": email}})
        if answer.status != 409:
            return self._read(answer, call.now)
        answer = self._update(_by_existing_id(answer) or _by_email(email), properties)
        if answer.status == 404:
            return self._read(answer, call.now, verdict=Verdict.NOT_PROCESSED)
        return self._read(answer, call.now)

    def probe(self) -> Probe:
        answer = self._send("GET", "?limit=1")
        if answer.status == 200 and read_object(answer) is not None:
            return Probe(True, "HubSpot accepts the token, and it may read contacts")
        words = safe_words(_words(read_object(answer) or {}), [self._token])
        said = f"HubSpot answered {answer.status}" + (f": {words}" if words else "")
        if answer.status == 401:
            return Probe(False, f"{said}. Put the access token of a private app into `token`")
        if answer.status == 403:
            return Probe(
                False,
                f"{said}. Give the private app the scopes crm.objects.contacts.read and "
                "crm.objects.contacts.write",
            )
        if answer.status in (423, 429, 477) or answer.status >= 500:
            return Probe(False, f"{said}. The token was not checked; try again later")
        return Probe(False, f"{said}. Is `base_url` the address of HubSpot's API?")

    def _update(self, path: str, properties: Mapping[str, str]) -> Answer:
        return self._send("PATCH", path, {"properties": properties})

    def _send(self, method: str, path: str, value: object = None) -> Answer:
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        body = b"" if value is None else json_body(value, parameter="properties")
        if body:
            headers["content-type"] = "application/json"
        url = self._base_url + _CONTACTS + path
        return self._transport.send(method, url, headers=headers, body=body)

    def _read(self, answer: Answer, now: datetime, verdict: Verdict | None = None) -> Outcome:
        told = read_object(answer) or {}
        ref = told.get("id")
        words = _words(told)
        if 200 <= answer.status < 300 and not isinstance(ref, str | int):
            verdict, ref, words = Verdict.IN_DOUBT, None, "not with a contact that we can read"
        return read_answer(
            answer,
            provider="HubSpot",
            now=now,
            verdict=verdict or VERDICTS.get(answer.status),
            code=_code(told),
            words=words,
            provider_ref=str(ref) if ref is not None else None,
            retry_after_s=_wait_s(answer.status, told),
            hide=[self._token],
        )


def _by_email(email: str) -> str:
    return f"/{quote(email, safe='')}?idProperty=email"


def _by_existing_id(answer: Answer) -> str | None:
    found = _EXISTING_ID.search(str((read_object(answer) or {}).get("message")))
    return f"/{found[1]}" if found else None


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in properties.items()
        if name != "email" and value is not None and str(value).strip()
    }


def _code(told: Mapping[str, Any]) -> str | None:
    code = told.get("category") or told.get("policyName")
    return str(code) if code else None


def _words(told: Mapping[str, Any]) -> str:
    words = str(told.get("message") or "")
    scopes = _missing_scopes(told)
    code = _code(told)
    parts = [code or "", words, f"needs {', '.join(scopes)}" if scopes else ""]
    return "; ".join(part for part in parts if part)


def _missing_scopes(told: Mapping[str, Any]) -> list[str]:
    """The scopes that a 403 `MISSING_SCOPES` names, under either of two keys."""
    holders = [told, *(error for error in _list(told.get("errors")) if isinstance(error, dict))]
    scopes = [
        str(scope)
        for holder in holders
        if isinstance(context := holder.get("context"), dict)
        for key in ("requiredGranularScopes", "requiredScopes")
        for scope in _list(context.get(key))
        if _SCOPE.fullmatch(str(scope))
    ]
    return list(dict.fromkeys(scopes))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _wait_s(status: int, told: Mapping[str, Any]) -> float | None:
    if status == 423:
        return _LOCKED_S
    return WAITS_S.get(str(told.get("policyName"))) if status == 429 else None
