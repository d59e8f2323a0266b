"""Webhooks from any sender that follows Standard Webhooks or uses Svix, including another hub.

**Docs**: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
· https://docs.svix.com/receiving/verifying-payloads/how-manual

**Signs**: `webhook-id`, `webhook-timestamp`, `webhook-signature` (or `svix-...`), over
`{id}.{timestamp}.{raw body}`, 5 minutes either way. The signature is a list, separated by spaces,
to allow rotation of secrets: `v1,` HMAC-SHA256 (`secrets`, base64 after `whsec_`), `v1a,` Ed25519
(`public_keys`, `whpk_...`). An id with a dot would be ambiguous and is rejected. For `hub send`, a
source with public keys only needs `sample_key`, the private key `whsk_...` of one of them.

**Re-sends**: on everything but a 2xx, with the same id and a new time: for hours or days (Svix: 8
times in 28 hours). 410 disables the endpoint; 429, 502 and 504 slow the sender down.

**Answers**: any 2xx within 15 s; the body is not read.

**Quirks**: canonical events are accepted as such: if `type` is a canonical type and `data` an
object, the fields of that type's family are read from `data` and each is validated, regardless of
the holder of the secret (an invalid amount, currency or time makes the payload unreadable, other
invalid values are left out). The hub's delivery that an event refers to is never read from it. So a
route without `from` also matches this sender's `payment.succeeded`. All other types are
`standard_webhooks.<type>`. `occurred_at` is `timestamp` in the body, else the signed time. There is
no test mode.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import EVENT_TYPES, Event
from adapters.contract.fields import external_id as checked_id
from adapters.contract.fields import utc_from_epoch, utc_from_text
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.standard_webhooks import (
    label_of_secret,
    read_standard_webhook,
    sign_standard_webhook,
)
from adapters.contract.strict_json import read_json
from adapters.standard_webhooks.asymmetric import label_of_public_key, public_key, sign_v1a
from adapters.standard_webhooks.facts import canonical_fields
from adapters.standard_webhooks.settings import StandardWebhooksSettings

NATIVE_TYPES = {kind: kind for kind in sorted(EVENT_TYPES)}
IGNORED_TYPES: Mapping[str, str] = {}

SAMPLES = SampleFiles(
    "adapters.standard_webhooks",
    ("contact.created", "payment.succeeded", "booking.created", "lead.submitted"),
    given=r'(?<="object_id":")[^"]+',
)

_TYPE_LENGTH = 100


class StandardWebhooksInbound(Inbound):
    """Adapter for the webhooks of one sender."""

    name = "standard_webhooks"
    settings_schema = StandardWebhooksSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ("secrets", "sample_key")
    setup = (
        "Where the sender keeps its webhook endpoints, add one with the address above.",
        "Choose the events you want.",
        "Copy the signing secret (whsec_...) into `secrets` of this source, or the public key "
        "(whpk_...) into `public_keys`, and restart the hub.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings.get("secrets", ()))
        self._public_keys = tuple(public_key(text) for text in settings.get("public_keys", ()))
        self._sample_key = settings.get("sample_key")

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret or public key that verifies the signature."""
        family = _family(request)
        message = read_standard_webhook(
            request.headers, request.body, request.received_at, family=family
        )
        label = label_of_secret(message, self._secrets)
        label = label or label_of_public_key(message, self._public_keys)
        if label is None:
            raise NotVerified(f"{family}-signature: fits none of this source's secrets and keys")
        return label

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of a message."""
        native = read_json(request.body)
        if not isinstance(native, dict):
            raise Unreadable(f"a payload is a JSON object, not {type(native).__name__}")
        native_type = checked_id(native.get("type"), "type")
        if len(native_type) > _TYPE_LENGTH:
            raise Unreadable(f"type must have at most {_TYPE_LENGTH} characters")
        family = _family(request)
        found = _canonical(native_type, native.get("data"))
        return [
            Event(
                type=native_type if found is not None else f"{self.name}.{native_type}",
                native_type=native_type,
                external_id=checked_id(request.headers.get(f"{family}-id"), f"{family}-id"),
                occurred_at=_occurred_at(request, native),
                data={**(found or {}), "native": native},
                fingerprint=sha256(request.body).digest(),
            )
        ]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed message of that type; a dot in `external_id` becomes a hyphen."""
        body = SAMPLES.body(native_type, external_id, now)
        headers = self._sign(external_id.replace(".", "-"), int(now.timestamp()), body)
        return Sample(body, {"content-type": "application/json", **headers})

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types

    def _sign(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        if self._secrets:
            return sign_standard_webhook(self._secrets[0], message_id, timestamp, body)
        if self._sample_key is None:
            raise LookupError("no sample can be signed with public keys; set `sample_key`")
        return sign_v1a(self._sample_key, message_id, timestamp, body)


def _family(request: InboundRequest) -> str:
    """Return the prefix of the three headers to read: `svix` only without `webhook-signature`."""
    has_svix_alone = (
        "svix-signature" in request.headers and "webhook-signature" not in request.headers
    )
    return "svix" if has_svix_alone else "webhook"


def _canonical(native_type: str, data: Any) -> dict[str, Any] | None:
    if native_type not in EVENT_TYPES or not isinstance(data, dict):
        return None
    return canonical_fields(native_type, data)


def _occurred_at(request: InboundRequest, native: Mapping[str, Any]) -> datetime:
    if native.get("timestamp") is not None:
        return utc_from_text(native["timestamp"], "timestamp")
    name = f"{_family(request)}-timestamp"
    text = request.headers.get(name, "")
    return utc_from_epoch(int(text) if text.isascii() and text.isdigit() else None, name)
