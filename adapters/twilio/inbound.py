"""Twilio's webhooks: SMS, MMS and WhatsApp messages, their delivery status, telephone calls.

**Docs**: https://www.twilio.com/docs/usage/webhooks · https://www.twilio.com/docs/usage/security ·
https://www.twilio.com/docs/messaging/guides/webhook-request ·
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status ·
https://www.twilio.com/docs/voice/api/call-resource#statuscallback

**Signs**: `X-Twilio-Signature`, base64 of HMAC-SHA1, keyed with the account's auth token, over the
whole URL (as Twilio knows it, its query still percent-encoded, without `#...`) and then every form
field in the order of names, name and value, empty ones too. A body that is not a form is covered by
`bodySHA256` in the URL. A subaccount signs with its own token. A SharedKey is named in
`X-Twilio-Webhooks-Signature-Settings: key=...,algorithm=HMAC_SHA256`. The signature has no
timestamp: a captured request verifies forever, and only its id keeps it from counting twice.

**Re-sends**: within the same 15 s, and only if no connection was made, unless the URL ends in
`#rc=5&rp=ct,rt,5xx`. A lost status callback is not sent again: `list_since` finds the final status
of a message.

**Answers**: empty TwiML as `text/xml`. `text/plain` would be sent to the customer as a message;
`text/html` and JSON cause the errors 12100 and 12300.

**Quirks**: Messages carry no timestamp; the time of receipt is used. The URL is verified with and
without its port. Many fields are empty; new ones appear without notice. Signed fields are joined
without a separator, so `A=1&B=2` and `A=1B2` have the same signature: required fields, ids
included, are validated after the signature. `SmsStatus=received` without `MessageStatus` is an
inbound message. MMS ids start with `MM`. Channel addresses (`whatsapp:+...`) are telephone numbers
in `data`, and whole in `native`. Fetching a picture takes credentials, so pictures are only listed.
A customer who answers STOP is blocked by Twilio itself, and the message arrives nevertheless.
`CallDuration` is in seconds and `Duration` in minutes. Statuses arrive in any order.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.form_bodies import read_form
from adapters.contract.inbound import Inbound, ListedRecord, Reply, Sample
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.twilio import api, facts, signature
from adapters.twilio.event_streams import read_stream
from adapters.twilio.messages import read_call, read_message

NATIVE_TYPES = {
    "received": "sms.received",
    "received.stop": "sms.opted_out",
    "received.start": "sms.opted_in",
    "accepted": "sms.queued",
    "queued": "sms.queued",
    "sent": "sms.sent",
    "delivered": "sms.delivered",
    "undelivered": "sms.undelivered",
    "failed": "sms.failed",
    "read": "sms.read",
    "call.ringing": "call.received",
    "call.completed": "call.ended",
    "call.busy": "call.ended",
    "call.no-answer": "call.ended",
    "call.failed": "call.ended",
    "call.canceled": "call.ended",
}

IGNORED_TYPES = {
    "receiving": "received tells the whole message a moment later",
    "scheduled": "nothing is sent yet; queued or canceled follows",
    "sending": "sent or failed follows at once",
    "canceled": "somebody took back a scheduled message; it was never sent",
    "partially_delivered": "of several recipients; no single one can be named",
    "call.queued": "the call has not begun",
    "call.initiated": "the call has not begun",
    "call.ringing.outbound": "our own call, told again when it is over",
    "call.in-progress": "told again when it is over",
    "recording.completed": "a recording, not a call; its address is in native",
    "com.twilio.messaging.message.delivered": "the status callback tells the same",
    "com.twilio.messaging.message.undelivered": "the status callback tells the same",
    "com.twilio.messaging.message.failed": "the status callback tells the same",
    "com.twilio.messaging.message.sent": "the status callback tells the same",
    "com.twilio.messaging.message.queued": "the status callback tells the same",
    "com.twilio.messaging.inbound-message.received": "the webhook of the number tells the same",
}

SAMPLES = SampleFiles(
    "adapters.twilio",
    (
        "received",
        "received.stop",
        "received.start",
        "delivered",
        "undelivered",
        "failed",
        "sent",
        "queued",
        "accepted",
        "read",
        "call.ringing",
        "call.completed",
        "call.no-answer",
        "call.busy",
        "call.failed",
        "call.canceled",
    ),
    kind="form",
    given=r"\b(?:SM|CA)[0-9a-f]{32}\b",
)
SAMPLE_ACCOUNT = "AC" + "0" * 32

EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

_SECRET = fields.String(validate=validate.Length(min=1))
_ACCOUNT_SID = validate.Regexp(
    r"AC[0-9A-Za-z]{32}\Z", error="expected an AccountSid: AC and 32 characters"
)


class TwilioInboundSettings(Schema):
    """Settings; at least one secret of any kind is needed.

    `secrets`: auth tokens, several during a rotation. `accounts`: the auth tokens of subaccounts,
    by AccountSid. `shared_keys`: the secrets of SharedKeys, by their ids.
    """

    secrets = fields.List(_SECRET, load_default=list)
    accounts = fields.Dict(
        keys=fields.String(validate=_ACCOUNT_SID), values=_SECRET, load_default=dict
    )
    shared_keys = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1)), values=_SECRET, load_default=dict
    )

    @validates_schema
    def _some_secret(self, data: Mapping[str, Any], **_: Any) -> None:
        if not any(data.get(key) for key in TwilioInbound.secret_keys):
            raise ValidationError("at least one secret is needed", "secrets")


class TwilioInbound(Inbound):
    """Webhooks of one Twilio account and its subaccounts."""

    name = "twilio"
    settings_schema = TwilioInboundSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ("secrets", "accounts", "shared_keys")
    account = "twilio"
    lists = True
    setup = (
        "In Twilio's console open Phone Numbers, Manage, Active numbers, and choose your number.",
        "Under Messaging, “A message comes in”: Webhook, the address above, HTTP POST. The "
        "same under Voice, “Call status changes”, for calls.",
        "Copy the Auth Token of the account (Account Info on the console's first page) into "
        "`secrets` of this source, and restart the hub.",
        "Set HUB_PUBLIC_URL to the origin of the address above, to the letter: the signature "
        "covers it. What becomes of texts that the hub sends comes back by itself.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = {
            f"secrets[{place}]": secret for place, secret in enumerate(settings.get("secrets", ()))
        }
        self._accounts = dict(settings.get("accounts", {}))
        self._shared_keys = dict(settings.get("shared_keys", {}))

    def verify(self, request: InboundRequest) -> str:
        """Return the secret's label: `secrets[0]`, `accounts.AC...` or `shared_keys.<id>`."""
        key_id, algorithm = signature.named_key(request.headers.get(signature.SIGNATURE_SETTINGS))
        signed = signature.signed_fields(request)
        secrets = self._candidates(signed) if key_id is None else self._shared_key(key_id)
        return signature.verify(secrets, request.headers, request.url, signed, algorithm)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the single event of a form, or the events of an Event Streams batch."""
        if not signature.is_form(request):
            batch = read_stream(request.body, request.received_at)
            return [_event(fact, native) for fact, native in batch]
        form = facts.read_fields(request.body)
        if "MessageSid" in form or ("SmsSid" in form and "CallSid" not in form):
            return [_event(read_message(form, request.url, request.received_at), form)]
        if "CallSid" in form:
            return [_event(read_call(form, request.received_at), form)]
        raise Unreadable("the form has neither MessageSid nor CallSid")

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed form; Twilio has no test mode, so `live` changes nothing."""
        sid = _sid("CA" if native_type.startswith("call.") else "SM", external_id)
        body = SAMPLES.body(native_type, sid, now)
        account_sid = next(iter(self._accounts), SAMPLE_ACCOUNT)
        body = body.replace(SAMPLE_ACCOUNT.encode("ascii"), account_sid.encode("ascii"))
        headers = {"content-type": f"{signature.FORM}; charset=UTF-8"}
        headers |= {"user-agent": "TwilioProxy/1.1"}
        return Sample(body, headers | self._signed(url, read_form(body)))

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types

    def reply(self, events: Sequence[Event]) -> Reply:
        """Return empty TwiML: any other text would be sent to the customer or read aloud."""
        return Reply(200, EMPTY_TWIML, "text/xml")

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield received messages and the final statuses of sent ones, newest first."""
        return api.list_messages(since, transport, account)

    def _candidates(self, signed: signature.Fields) -> dict[str, str]:
        """Return auth tokens by label, without subaccounts other than the one the form names."""
        named = {value for name, value in signed if name == "AccountSid"}
        accounts = {
            f"accounts.{sid}": token
            for sid, token in self._accounts.items()
            if not named or named == {sid}
        }
        return self._secrets | accounts

    def _shared_key(self, key_id: str) -> dict[str, str]:
        if key_id not in self._shared_keys:
            raise NotVerified(
                "X-Twilio-Webhooks-Signature-Settings: signed with a SharedKey that is not in "
                "this source's `shared_keys`"
            )
        return {f"shared_keys.{key_id}": self._shared_keys[key_id]}

    def _signed(self, url: str, fields: signature.Fields) -> dict[str, str]:
        if tokens := list(self._candidates(fields).values()):
            return {signature.SIGNATURE: signature.sign(tokens[0], url, fields)}
        key_id, secret = next(iter(self._shared_keys.items()))
        return {
            signature.SIGNATURE: signature.sign(secret, url, fields, "HMAC_SHA256"),
            signature.SIGNATURE_SETTINGS: f"key={key_id},algorithm=HMAC_SHA256",
        }


def _sid(prefix: str, external_id: str) -> str:
    """Return the id of a sample: the one that is given, before a `:`, or a digest of it."""
    given = external_id.partition(":")[0]
    if re.fullmatch(rf"{prefix}[0-9a-f]{{32}}", given, re.ASCII):
        return given
    return prefix + sha256(external_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _event(fact: facts.Fact, native: Mapping[str, Any]) -> Event:
    return Event(
        type=NATIVE_TYPES.get(fact.native_type, f"twilio.{fact.native_type}"),
        native_type=fact.native_type,
        external_id=fact.external_id,
        occurred_at=fact.occurred_at,
        data={**fact.data, "native": native},
        fingerprint=fact.fingerprint,
    )
