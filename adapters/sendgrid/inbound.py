"""SendGrid's Event Webhook: the delivery status, opens and clicks of each e-mail that was sent.

**Docs**: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event ·
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features

**Signs**: `X-Twilio-Email-Event-Webhook-Signature`, ECDSA on P-256 over
`X-Twilio-Email-Event-Webhook-Timestamp` and the raw body, which ends in CRLF; base64 DER. The
public key belongs to the webhook and is shown as base64 DER. Signing is off until it is enabled.

**Re-sends**: after every response other than a 2xx, at increasing intervals, until 24 h after the
event. Redirects are not followed. Neither order nor exactly-once delivery is promised.

**Answers**: any 2xx; the body is not read.

**Quirks**: One request carries many events, up to 768 kB of them. Each is identified by its
`sg_event_id`, which may change when a batch is re-sent (sendgrid-nodejs#1435) and has been missing
on unsubscribes, so a fact key is used in addition to it and in place of it. Whether a re-sent batch
keeps its first timestamp is not documented; `max_age` is 25 h, which loses nothing either way, and
repetitions within that time are recognized. `bounce` of type `blocked` is temporary (deferred). An
open that a mail program causes by itself (Apple's privacy protection) is marked `machine`.
`custom_args` of the e-mail are among the event's own fields. An asynchronous bounce has no
`sg_message_id`, and may follow `delivered`. `sg_message_id` is the `X-Message-Id` of the send, a
dot, and more. An item that is not an event becomes one of type `sendgrid.unreadable`, and does not
affect the others.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.ecdsa import (
    check_private_key,
    check_public_key,
    private_key,
    public_key,
    sign_ecdsa,
    verify_ecdsa,
)
from adapters.sendgrid import facts
from adapters.sendgrid.batches import read_batch

NATIVE_TYPES = facts.NATIVE_TYPES

IGNORED_TYPES = {
    "account_status_change": "it is about the account at SendGrid, not about an e-mail",
    facts.UNREADABLE: "an item of a batch of which no event can be made",
}

SAMPLES = SampleFiles(
    "adapters.sendgrid",
    ("delivered", *(name for name in NATIVE_TYPES if name != "delivered")),
    given=r'(?<="sg_event_id":")[^"]+',
    derived=r'(?<="smtp-id":"<)[0-9a-f]{22}|(?<="sg_message_id":")[0-9a-f]{22}',
)

FUTURE_S = 300
_DURATION = re.compile(r"[0-9]{1,6}[mhd]", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def _max_age_s(text: str) -> int:
    return int(text[:-1]) * _SECONDS[text[-1]]


def _check_max_age(text: str) -> None:
    if not _DURATION.fullmatch(text):
        raise ValidationError("expected a duration like 10m 25h 2d")
    if not 300 <= _max_age_s(text) <= 30 * 86_400:
        raise ValidationError("expected a duration from 5m to 30d")


def _check_sample_key(text: str) -> None:
    # An unset variable leaves an empty text.
    if text:
        check_private_key(text)


class SendgridInboundSettings(Schema):
    """Settings. `public_keys`: verification keys of the webhooks that post here, base64 or PEM.

    `max_age`: the greatest accepted age of a signature. `sample_key`: a private key for `hub send`;
    its public key must be among `public_keys`.
    """

    public_keys = fields.List(
        fields.String(validate=check_public_key),
        required=True,
        validate=validate.Length(min=1, error="at least one public key is needed"),
    )
    max_age = fields.String(load_default="25h", validate=_check_max_age)
    sample_key = fields.String(load_default=None, allow_none=True, validate=_check_sample_key)

    @validates_schema(skip_on_field_errors=True)
    def _check_pair(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data["sample_key"]:
            return
        own = private_key(data["sample_key"]).public_key()
        if own not in [public_key(text) for text in data["public_keys"]]:
            raise ValidationError(
                "its public key must stand among public_keys: nothing else accepts what it signs",
                "sample_key",
            )


class SendgridInbound(Inbound):
    """Event Webhooks of one SendGrid account."""

    name = "sendgrid"
    settings_schema = SendgridInboundSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ("sample_key",)
    setup = (
        "In SendGrid open Settings, Mail Settings, Event Webhooks, and create a webhook.",
        "Paste the address above as Post URL, and choose the events: delivered, deferred, "
        "bounced, dropped, opened, clicked, spam reports, unsubscribes.",
        "Under Security features enable Signed Event Webhook, and save.",
        "Open it again, copy the Verification Key into `public_keys` of this source, and "
        "restart the hub.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._keys = tuple(public_key(text) for text in settings["public_keys"])
        self._max_age_s = _max_age_s(settings.get("max_age") or "25h")
        self._sample_key = settings.get("sample_key") or None

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the key that verifies the signature (`public_keys[0]`)."""
        return verify_ecdsa(
            self._keys,
            request.headers,
            request.body,
            request.received_at,
            past_s=self._max_age_s,
            future_s=FUTURE_S,
        )

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return one event per item; an item that is repeated within the batch counts once."""
        events = [facts.event_of(item, request.received_at) for item in read_batch(request.body)]
        if all(event.native_type == facts.UNREADABLE for event in events):
            raise Unreadable(
                f"none of its items is an event; the first: {events[0].data['reason']}"
            )
        return list({(event.external_id, event.fingerprint): event for event in events}.values())

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed batch of one; SendGrid has no test mode."""
        if self._sample_key is None:
            raise LookupError(
                "SendGrid's private key is not ours to sign with: set `sample_key` to one of your "
                "own and add its public key to `public_keys`; there are samples of "
                + ", ".join(SAMPLES.types)
            )
        body = SAMPLES.body(native_type, external_id, now)
        signature = sign_ecdsa(private_key(self._sample_key), int(now.timestamp()), body)
        headers = {
            "content-type": "application/json",
            "user-agent": "SendGrid Event API",
            **signature,
        }
        return Sample(body, headers)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types
