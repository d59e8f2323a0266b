"""Stripe's webhooks: payments, refunds, disputes, checkouts, invoices, subscriptions, customers.

**Docs**: https://docs.stripe.com/webhooks · https://docs.stripe.com/api/events/types ·
https://docs.stripe.com/currencies#zero-decimal

**Signs**: `Stripe-Signature: t=<s>,v1=<hex>`, HMAC-SHA256 over `{t}.{raw body}`, keyed with the
whole `whsec_...` text. While a secret is rolled (up to 24 h) there is one `v1` per secret. Each
endpoint has its own secret, so an account and a Connect endpoint at one URL need two secrets.
Stripe's libraries accept any time in the future; the hub accepts 60 s.

**Re-sends**: after every response other than a 2xx, redirects included, for 3 days (in a sandbox
three times within hours), each time signed anew. An endpoint that fails for days is disabled.
Neither order nor exactly-once delivery is promised, and one change may arrive as two events with
different ids.

**Answers**: any 2xx; the body is not read.

**Quirks**: One purchase causes many events: `native_types` maps one per fact, `ignored_types` gives
the reason for leaving out each of the others. The object's shape follows the endpoint's API
version. `charge.refunded` carries the running total; the hub reports the amount of the single
refund. `checkout.completed` may be `unpaid`: see its `reason`. `object_id` of a payment is the
payment intent, so success, refund and dispute of one payment share it. An invoice without metadata
of its own gets that of its subscription. `account` is the connected account in which the event
happened; `native` is `data.object` alone. `delivery_id` is the delivery whose call caused the
event, by the idempotency key of its request. Thin events (`v2.core.event`) carry no data: event and
object are fetched with the destination's `api_key`, the object in its state at that time, so a thin
refund has no amount of its own. The list of events goes back 30 days; it has the events of one
account and no thin ones, in the shape of the account's API version at the time: if the endpoint has
another version, a listed event differs from the one that was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields, validate

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import external_id, utc_from_epoch
from adapters.contract.inbound import Inbound, ListedRecord, Sample
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.standard_webhooks import sign_stripe, verify_stripe
from adapters.contract.strict_json import fingerprint, read_json
from adapters.stripe import facts, listing, thin_events
from adapters.stripe.fact_keys import fact_key
from adapters.stripe.native_types import IGNORED_TYPES, NATIVE_TYPES
from adapters.stripe.payload_access import cause_of

SAMPLES = SampleFiles(
    "adapters.stripe",
    (
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "charge.refunded",
        "charge.dispute.created",
        "checkout.session.completed",
        "invoice.paid",
        "invoice.payment_failed",
        "customer.created",
        "customer.updated",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
    ),
    given=r"\bevt_[A-Za-z0-9]+",
    # But for what outlives an event, so that a day of samples is one customer's.
    derived=r"\b(?!(?:acct|evt|plan|price|prod)_|cus_QXg1o8vcGmoR32)(?:cs_test|[a-z]{2,8})_"
    r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10,}\b",
    live_flags={"livemode": True},
)

_WRAPPERS = {
    "detail-type": "Amazon EventBridge",
    "specversion": "a CloudEvents envelope (Azure Event Grid)",
    "eventType": "Azure Event Grid",
}
_TYPE_LENGTH = 100


class StripeInboundSettings(Schema):
    """Settings: `secrets` of the endpoints that post here; several during a rotation."""

    secrets = fields.List(
        fields.String(validate=validate.Length(min=1)),
        required=True,
        validate=validate.Length(min=1),
    )


class StripeInbound(Inbound):
    """Webhooks of one Stripe account, or of several endpoints at one URL."""

    name = "stripe"
    settings_schema = StripeInboundSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    account = "stripe"
    lists = True
    setup = (
        "In Stripe's dashboard open Developers, then Webhooks, and add a destination.",
        "Choose “Your account” and the events you want: at least payment_intent.succeeded, "
        "payment_intent.payment_failed and charge.refunded.",
        "Choose “Webhook endpoint” and paste the address above.",
        "Reveal the signing secret of the new endpoint (whsec_...), put it into `secrets` of "
        "this source, and restart the hub. Test mode and live mode have a secret each.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings["secrets"])

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        header = request.headers.get("stripe-signature")
        return verify_stripe(self._secrets, header, request.body, request.received_at)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the single event that a Stripe webhook carries."""
        envelope = _envelope(request.body)
        if envelope.get("object") == "v2.core.event":
            return [
                thin_events.thin_event(
                    envelope,
                    _native_type(envelope),
                    live=_live(envelope),
                    fingerprint=_fingerprint(envelope),
                )
            ]
        return [_snapshot_event(envelope)]

    def complete(self, event: Event, found: Mapping[str, Any]) -> Event:
        """Return a thin event completed with the result of `fetch`."""
        return thin_events.complete(event, found)

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield the snapshot events since `since`, at most 30 days back, oldest first."""
        return listing.list_since(since, now, transport, account)

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that type; its ids derive from `external_id` alone."""
        event_id = external_id if external_id.startswith("evt_") else f"evt_{external_id}"
        body = SAMPLES.body(native_type, event_id, now, live=live)
        signature = sign_stripe(self._secrets[0], int(now.timestamp()), body)
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": signature,
        }
        return Sample(body, headers)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types


def _envelope(body: bytes) -> dict[str, Any]:
    envelope = read_json(body)
    if not isinstance(envelope, dict):
        raise Unreadable(f"a Stripe event is a JSON object, not {type(envelope).__name__}")
    wrapper = next((name for key, name in _WRAPPERS.items() if key in envelope), None)
    if wrapper:
        raise Unreadable(f"wrapped by {wrapper}; let Stripe post to a webhook endpoint instead")
    kind = envelope.get("object", "event")
    if kind not in ("event", "v2.core.event"):
        raise Unreadable("object must be event: this is no Stripe event")
    return envelope


def _snapshot_event(envelope: Mapping[str, Any]) -> Event:
    native_type = _native_type(envelope)
    kind = NATIVE_TYPES.get(native_type, f"stripe.{native_type}")
    occurred_at = utc_from_epoch(envelope.get("created"), "created")
    native, previous = _data(envelope)
    read = facts.READERS.get(kind)
    connected = thin_events.account_of(envelope.get("account"))
    known = {
        **({"account": connected} if connected else {}),
        **cause_of(envelope.get("request"), native_type, native),
    }
    return Event(
        type=kind,
        native_type=native_type,
        external_id=external_id(envelope.get("id"), "id"),
        occurred_at=occurred_at,
        data={**(read(native, previous) if read else {}), **known, "native": native},
        live=_live(envelope),
        fact_key=fact_key(kind, native, previous, envelope["created"]),
        fingerprint=_fingerprint(envelope),
    )


def _native_type(envelope: Mapping[str, Any]) -> str:
    native_type = external_id(envelope.get("type"), "type")
    if len(native_type) > _TYPE_LENGTH:
        raise Unreadable(f"type must have at most {_TYPE_LENGTH} characters")
    return native_type


def _data(envelope: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    data = envelope.get("data")
    native = data.get("object") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(native, dict):
        raise Unreadable("data.object must be an object")
    previous = data.get("previous_attributes")
    return native, previous if isinstance(previous, dict) else {}


def _live(envelope: Mapping[str, Any]) -> bool:
    live = envelope.get("livemode", True)
    if not isinstance(live, bool):
        raise Unreadable("livemode must be true or false")
    return live


def _fingerprint(envelope: Mapping[str, Any]) -> bytes:
    # `pending_webhooks` counts down while other endpoints are served.
    return fingerprint({k: value for k, value in envelope.items() if k != "pending_webhooks"})
