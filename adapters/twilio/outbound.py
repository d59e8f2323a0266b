"""Text messages through Twilio: SMS, MMS and WhatsApp.

**Docs**: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource ·
https://www.twilio.com/docs/api/errors
**Answers**: 201 with `sid` and `status` (`queued`, `accepted`): accepted, not delivered; status
callbacks report the rest. Errors are JSON with `code`, `message` and `more_info`, or RFC 9457
problems with `code`, `title` and `detail`. A message answered with 5xx may have been sent
nevertheless, as Twilio itself says of 20500.
**Quirks**: there is no idempotency key. The URL of the status callbacks carries `hub_attempt`, so
even a message whose answer was lost is recognized when its first status arrives; without a
callback, the account's list is searched by recipient, time and text. A number that answered STOP is
refused with 21610, at once or, with a messaging service, in a callback. A messaging service chooses
the sender itself. WhatsApp wants both addresses with the prefix `whatsapp:`, and a template once
the customer's last message is more than 24 hours old. Credentials are the account's auth token or
one of its API keys, which Twilio advises for production (a standard one, or a restricted one that
may create and list messages): https://www.twilio.com/docs/iam/api-keys.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.answers import judge, read_answer, read_object
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
from adapters.twilio import lookup
from adapters.twilio.answers import code_of, verdict_of, words_of
from adapters.twilio.api import TwilioApi
from adapters.twilio.send import (
    SendParameters,
    callback_with,
    check_sender,
    message_fields,
    sender_for,
)

_NOBODY = "+15005550006"
_SANDBOX_SID = "SM" + "0" * 32
# What to do about a probe that is refused, for `judge`.
_BY_TOKEN = {
    "wrong": "Put the SID of the account into `account_sid` and its token into `auth_token`",
    "forbidden": "See in Twilio's console whether the account may use the API",
    "good": "Twilio accepts the credentials, and the account may be used",
}
_BY_KEY = {
    "wrong": "Put the SID of the account into `account_sid`, and the SID and the secret of an "
    "API key into `api_key_sid` and `api_key_secret`; the key must be allowed to list messages",
    "forbidden": "Allow the API key to create and to list messages, in Twilio's console",
    "good": "Twilio accepts the API key, and it may list the account's messages",
}
_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}", re.ASCII)


def _sid(prefix: str, name: str) -> fields.String:
    return fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Regexp(
            rf"\s*({prefix}[0-9A-Za-z]{{1,62}})?\s*\Z", error=f"expected {name}, like {prefix}..."
        ),
    )


class _Settings(Schema):
    account_sid = _sid("AC", "the SID of an account")
    auth_token = fields.String(load_default="", allow_none=True)
    api_key_sid = _sid("SK", "the SID of an API key")
    api_key_secret = fields.String(load_default="", allow_none=True)
    sender = fields.String(
        data_key="from", attribute="from", load_default="", allow_none=True, validate=check_sender
    )
    messaging_service_sid = _sid("MG", "the SID of a messaging service")

    @validates_schema(skip_on_field_errors=True)
    def _whole_key(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse half of an API key: calls would fall back to the auth token, or to the sandbox."""
        halves = ("api_key_sid", "api_key_secret")
        given = [name for name in halves if (data.get(name) or "").strip()]
        if len(given) == 1:
            other = halves[1 - halves.index(given[0])]
            raise ValidationError(f"needs `{other}` beside it: an API key has both", given[0])


class TwilioOutbound(Outbound):
    """Outbound adapter for one account; sends by one of its numbers or by a messaging service."""

    name: ClassVar[str] = "twilio"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = (
        "account_sid",
        "auth_token|api_key_secret",
        "from|messaging_service_sid",
    )
    secrets: ClassVar[tuple[str, ...]] = ("auth_token", "api_key_secret")
    actions: ClassVar[Mapping[str, Action]] = {
        "send": Action(
            Effect.AT_MOST_ONCE,
            SendParameters,
            supports_lookup=True,
            phone="to",
            matched_by_content=True,
        )
    }
    calls_back: ClassVar[str | None] = "twilio"

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._account = TwilioApi(settings, transport)
        self._service = (settings.get("messaging_service_sid") or "").strip()
        sender = (settings.get("from") or "").strip()
        self._sender = sender or ("" if self._service else _NOBODY)
        self._callback_url = settings.get("callback_url")

    def perform(self, call: Call) -> Outcome:
        message = message_fields(
            self._message(call),
            sender=self._sender,
            service=self._service,
            callback=callback_with(self._callback_url, call.attempt_id),
        )
        return self._read(self._account.send(message), call.now)

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        """Look up this message in the lists of the account's messages."""
        message = self._message(call)
        sender = None if self._service else sender_for(message["to"], self._sender)
        return lookup.look_up(self._account, message, sender, sent_at, call.now)

    def probe(self) -> Probe:
        # Standard and restricted API keys may not read the account itself (401, 20003).
        by_key = self._account.credentials.by_key
        answer = self._account.newest() if by_key else self._account.account()
        if answer.status == 200 and (fault := self._fault(read_object(answer) or {})):
            return Probe(False, fault)
        return judge(answer, provider="Twilio", **(_BY_KEY if by_key else _BY_TOKEN))

    def sandbox_answer(self, method: str, url: str) -> Answer:
        answers: dict[str, tuple[int, dict[str, Any]]] = {
            "POST": (201, {"sid": _SANDBOX_SID, "status": "queued", "error_code": None}),
            "GET": (
                200,
                {"sid": self._account.sid, "status": "active", "messages": []},
            ),
        }
        status, told = answers[method]
        return Answer(status, {"content-type": "application/json"}, json.dumps(told).encode())

    def _fault(self, told: Mapping[str, Any]) -> str | None:
        """Return what a successful probe tells against the account, None for nothing."""
        if self._account.credentials.by_key:
            listed = isinstance(told.get("messages"), list)
            return None if listed else "Twilio answered without a list; is `base_url` its API?"
        if (status := told.get("status")) in ("suspended", "closed"):
            return f"the Twilio account is {status}; see its console"
        if not str(told.get("sid", "")).startswith("AC"):
            return "Twilio answered without an account; is `base_url` its API?"
        return None

    def _message(self, call: Call) -> dict[str, Any]:
        return load_parameters(self.actions[call.action].parameters, call.parameters)

    def _read(self, answer: Answer, now: datetime) -> Outcome:
        told = read_object(answer) or {}
        taken, ref = 200 <= answer.status < 300, told.get("sid")
        if taken and isinstance(ref, str) and _MESSAGE_SID.fullmatch(ref):
            return read_answer(answer, provider="Twilio", now=now, provider_ref=ref)
        code = code_of(told)
        return read_answer(
            answer,
            provider="Twilio",
            now=now,
            verdict=verdict_of(answer.status, code),
            code=str(code) if code else None,
            words="but not with a message that we can read" if taken else words_of(told),
            hide=[self._account.credentials.auth_token, self._account.credentials.api_key_secret],
        )
