"""Twilio's webhooks: SMS, MMS, WhatsApp, what became of a message, telephone calls.

**Docs**: https://www.twilio.com/docs/usage/webhooks · https://www.twilio.com/docs/usage/security ·
https://www.twilio.com/docs/messaging/guides/webhook-request ·
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status ·
https://www.twilio.com/docs/voice/api/call-resource#statuscallback

**Signs**: `X-Twilio-Signature`, base64 of HMAC-SHA1 with the account's auth token over the whole
address (as Twilio knows it, its query still percent-encoded, without `#...`) and then every form
field in the order of its names, name and value, empty ones too. A body that is no form is named by
`bodySHA256` in the address. A subaccount signs with its own token. A SharedKey is named in
`X-Twilio-Webhooks-Signature-Settings: key=...,algorithm=HMAC_SHA256`. There is no time in it: a
captured request verifies for ever, and only its id keeps it from counting twice.

**Re-sends**: within the same 15 s, and only when no connection came about, unless the address
ends in `#rc=5&rp=ct,rt,5xx`. A status callback that was lost does not come again: `list_since`
finds what became of a message.

**Answers**: empty TwiML as `text/xml`. `text/plain` would be sent to the customer as a message,
`text/html` and JSON are errors 12100 and 12300.

**Quirks**: Messages bear no time; they happened when they came. The address is tried with and
without its port. Many fields are empty; new ones appear without notice. Fields are joined without
a separator, so `A=1&B=2` and `A=1B2` have one signature: what must be there is checked after it,
ids and all. `SmsStatus=received` without `MessageStatus` is a message to us. MMS ids start with
`MM`. Addresses of channels (`whatsapp:+...`) are telephones in `data`, and whole in `native`. A
picture takes credentials to fetch, and is only listed. A customer who answers STOP is
blocked by Twilio itself, and the message comes all the same; `CallDuration` are seconds and
`Duration` minutes; statuses come in any order.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.inbound import Inbound, ListedRecord, Reply, Sample
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest
from adapters.twilio import api, facts, samples, signature
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

EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

_SECRET = fields.String(validate=validate.Length(min=1))
_ACCOUNT_SID = validate.Regexp(
    r"AC[0-9A-Za-z]{32}\Z", error="expected an AccountSid: AC and 32 characters"
)


class TwilioInboundSettings(Schema):
    """`secrets`: auth tokens, several during rotation. `accounts`: the tokens of subaccounts, by
    AccountSid. `shared_keys`: the secrets of SharedKeys, by their ids. One of all is needed."""

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
        """Return the label of the secret: `secrets[0]`, `accounts.AC...` or `shared_keys.<id>`."""
        key_id, algorithm = signature.named_key(request.headers.get(signature.SIGNATURE_SETTINGS))
        signed = signature.signed_fields(request)
        secrets = self._candidates(signed) if key_id is None else self._shared_key(key_id)
        return signature.verify(secrets, request.headers, request.url, signed, algorithm)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of a form, or the events of an Event Streams batch."""
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
        account_sid = next(iter(self._accounts), None)
        form = samples.sample_fields(native_type, external_id, now, account_sid)
        headers = {"content-type": f"{signature.FORM}; charset=UTF-8"}
        headers |= {"user-agent": "TwilioProxy/1.1"}
        return Sample(samples.encoded(form), headers | self._signed(url, form))

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return samples.SAMPLE_TYPES

    def reply(self, events: Sequence[Event]) -> Reply:
        """Return TwiML that does nothing: whatever else is said would be sent or read aloud."""
        return Reply(200, EMPTY_TWIML, "text/xml")

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield the messages sent to us, and what became of those that we sent; newest first."""
        return api.list_messages(since, transport, account)

    def _candidates(self, signed: signature.Fields) -> dict[str, str]:
        """Every auth token; of the subaccounts' those of the account that the form names."""
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

    def _signed(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        fields = list(form.items())
        if tokens := list(self._candidates(fields).values()):
            return {signature.SIGNATURE: signature.sign(tokens[0], url, fields)}
        key_id, secret = next(iter(self._shared_keys.items()))
        return {
            signature.SIGNATURE: signature.sign(secret, url, fields, "HMAC_SHA256"),
            signature.SIGNATURE_SETTINGS: f"key={key_id},algorithm=HMAC_SHA256",
        }


def _event(fact: facts.Fact, native: Mapping[str, Any]) -> Event:
    return Event(
        type=NATIVE_TYPES.get(fact.native_type, f"twilio.{fact.native_type}"),
        native_type=fact.native_type,
        external_id=fact.external_id,
        occurred_at=fact.occurred_at,
        data={**fact.data, "native": native},
        fingerprint=fact.fingerprint,
    )
