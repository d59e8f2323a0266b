"""E-mails, suppressions and marketing contacts at SendGrid.

**Docs**: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send ·
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-global-suppressions ·
https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact ·
https://www.twilio.com/docs/sendgrid/for-developers/sending-email/getting-started-email-activity-api
**Answers**: 202 with an empty body and `X-Message-Id` for an e-mail: accepted, not sent; the Event
Webhook reports the rest. Errors are JSON with `errors[].message` and `.field`. 403 is a sender that
is not verified, a key without permission, or a temporary block after too many bad requests; one
that names a field of the e-mail is about that e-mail. 401 is also "Maximum credits exceeded". 429
has `X-RateLimit-Reset` (epoch seconds) and no `Retry-After`.
**Quirks**: there is no idempotency key: `custom_args` carries `hub_attempt` into each event of the
e-mail, whichever of its recipients that is about. The Email Activity feed, which can be searched
for it, is sold separately and lags behind, so it proves at once that an e-mail exists, but only
after a while that it does not; with a `send_at`, a while after that. An address that stands twice
in `to`, `cc` and `bcc` is a 400: it is named once, where it stands first. `send_at` is at most 72 h
ahead; one that has passed is left out, so that the e-mail goes at once. `attachments` are names of
the event's files, or `data.attachments` whole; they are read from the kept request, at most 15 MiB,
and 30 MB are the limit of the whole e-mail. A suppression for a group that does not exist becomes a
global one. SendGrid imports contacts asynchronously: 202 has a `job_id`. Control characters, which
SendGrid would pass into an e-mail's header, are refused. EU accounts have the `base_url`
https://api.eu.sendgrid.com.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields

from adapters.contract.answers import judge, read
from adapters.contract.mailboxes import RECIPIENT_FIELDS, Mailbox, check_mailbox, mailbox
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
from adapters.contract.requests import json_body, load_parameters
from adapters.sendgrid import answers
from adapters.sendgrid.contacts import (
    CONTACTS,
    ContactParameters,
    SuppressionParameters,
    contact_body,
    suppression_path,
    suppressions_path,
)
from adapters.sendgrid.lookup import lookup_result
from adapters.sendgrid.mail import due_at, mail_body
from adapters.sendgrid.parameters import SendParameters

SEND = "/v3/mail/send"
_NOBODY = Mailbox("sandbox@example.com")


def _check_sender(text: str) -> None:
    if text.strip():
        check_mailbox(text)


def _check_api_key(text: str) -> None:
    if not text.isascii() or not text.strip().isprintable():
        raise ValidationError("is not an API key: those are printable ASCII, in one line")


class _Settings(Schema):
    api_key = fields.String(load_default="", allow_none=True, validate=_check_api_key)
    sender = fields.String(
        data_key="from",
        attribute="from",
        load_default="",
        allow_none=True,
        validate=_check_sender,
    )
    email_activity = fields.Boolean(load_default=False)


class SendgridOutbound(Outbound):
    """Outbound adapter for one SendGrid account, with one of its API keys."""

    name: ClassVar[str] = "sendgrid"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("api_key", "from")
    secrets: ClassVar[tuple[str, ...]] = ("api_key",)
    actions: ClassVar[Mapping[str, Action]] = {
        "send": Action(
            Effect.AT_MOST_ONCE,
            SendParameters,
            supports_lookup=True,
            ask_after_s=86400.0,
            recipients=RECIPIENT_FIELDS,
            attachments="attachments",
        ),
        "suppress": Action(Effect.NATURAL, SuppressionParameters),
        "unsuppress": Action(Effect.NATURAL, SuppressionParameters),
        "upsert_marketing_contact": Action(Effect.NATURAL, ContactParameters),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._api_key = (settings.get("api_key") or "").strip()
        sender = (settings.get("from") or "").strip()
        self._sender = mailbox(sender) if sender else _NOBODY
        self._has_activity = bool(settings.get("email_activity"))
        self._base_url = (settings.get("base_url") or "https://api.sendgrid.com").rstrip("/")
        self._transport = transport

    def perform(self, call: Call) -> Outcome:
        given = load_parameters(self.actions[call.action].parameters, call.parameters)
        if call.action == "send":
            mail = mail_body(given, call, sender=self._sender)
            answer = self._send("POST", SEND, mail, parameter="data")
        elif call.action == "suppress":
            people = {"recipient_emails": [given["email"].strip()]}
            answer = self._send("POST", suppressions_path(given), people)
        elif call.action == "unsuppress":
            answer = self._send("DELETE", suppression_path(given))
        else:
            contact = contact_body(given)
            answer = self._send("PUT", CONTACTS, contact, parameter="custom_fields")
        return answers.READERS[call.action](answer, call.now, [self._api_key])

    def probe(self) -> Probe:
        answer = read(self._transport, self._base_url + "/v3/scopes", headers=self._headers())
        probe = judge(
            answer,
            provider="SendGrid",
            wrong="Put an API key of the account into `api_key`",
            forbidden="Give the API key the permission Mail Send",
            good="SendGrid accepts the API key, and it may send e-mails",
        )
        return answers.judge_scopes(answer) or probe

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        if not self._has_activity or call.action != "send":
            return super().look_up(call, sent_at)
        query = quote(f"unique_args['hub_attempt']=\"{call.attempt_id}\"", safe="")
        url = f"{self._base_url}/v3/messages?limit=10&query={query}"
        answer = read(self._transport, url, headers=self._headers())
        given = load_parameters(SendParameters, call.parameters)
        return lookup_result(answer, call.now - due_at(given, sent_at))

    def sandbox_answer(self, method: str, url: str) -> Answer:
        kind = {"content-type": "application/json"}
        if url.endswith(SEND):
            return Answer(202, {"x-message-id": "sandbox"}, b"")
        if url.endswith(CONTACTS):
            return Answer(202, kind, b'{"job_id": "sandbox"}')
        if method == "DELETE":
            return Answer(204, {}, b"")
        return Answer(201, kind, b'{"recipient_emails": []}')

    def _send(
        self, method: str, path: str, value: object = None, *, parameter: str = "email"
    ) -> Answer:
        headers = self._headers()
        body = b"" if value is None else json_body(value, parameter=parameter)
        if body:
            headers["content-type"] = "application/json"
        return self._transport.send(method, self._base_url + path, headers=headers, body=body)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._api_key}", "accept": "application/json"}
