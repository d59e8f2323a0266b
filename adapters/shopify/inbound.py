"""Shopify's webhooks: orders and customers of a shop.

**Docs**: https://shopify.dev/docs/api/webhooks · https://shopify.dev/docs/apps/build/webhooks ·
https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates

**Signs**: `X-Shopify-Hmac-SHA256`, HMAC-SHA256 in base64 over the raw body, keyed with the app's
client secret (for webhooks created in the admin: with the one shown there). No time is signed.
After a change of the secret, the old one is used for a while: configure both.

**Re-sends**: on everything but a 2xx within 5 s (1 s to connect), 8 times in 4 hours, always the
payload of the first attempt; then the subscription is deleted if it was created through the API.
Delivery of every event is not guaranteed: compare with the shop from time to time.

**Answers**: any 2xx; the body is not read. A wrong signature must be answered with 401.

**Quirks**: topic, shop and ids are in headers that are not signed, so anyone with one signed body
could post it as another topic. One that the body contradicts, or that is missing, becomes
`shopify.webhook` with the `reason` in `data`; of one body each topic is one fact, under any event
id, and a payment, a cancellation, a fulfilment or a refund is one in any later body too. A body
without `updated_at` (`inventory_levels/disconnect`, `.../remove`) may come again as another event,
and is one fact for 5 minutes only. `X-Shopify-Event-Id` is one per action of the merchant, shared
by all its topics, objects and subscriptions; two subscriptions to one topic differ in
`X-Shopify-Webhook-Id` only. The external id is composed of topic, object, its `updated_at` and the
event id: duplicates get the same id, different facts never do. Slashes are escaped and ids have 18
digits; a body that is serialized again has another signature. Amounts are decimal strings in the
shop's currency; a negative one is left out. An order's `email` may differ from its customer's. A
test notification has `test: true`: it is not live, and its order is void, paid and cancelled at
once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import external_id as checked_id
from adapters.contract.fields import is_id, utc_from_text
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.hmac import SecretsSchema, sign_hmac, verify_hmac
from adapters.contract.strict_json import read_json
from adapters.shopify import facts

NATIVE_TYPES = {
    "orders/create": "order.created",
    "orders/paid": "order.paid",
    "orders/cancelled": "order.cancelled",
    "customers/create": "customer.created",
    "customers/update": "customer.changed",
    "customers/delete": "customer.deleted",
}

IGNORED_TYPES = {
    "orders/updated": "comes with every other order topic, several times",
    "customers/data_request": "a duty of the shop (privacy law) that a person answers: route it",
    "customers/redact": "a duty of the shop (privacy law): erase the person everywhere; route it",
    "shop/redact": "a duty of the shop (privacy law), 48 h after it removed the app: route it",
}

SAMPLES = SampleFiles(
    "adapters.shopify",
    ("orders/create", "orders/paid", "orders/cancelled", "customers/create", "customers/update"),
    derived=r'(?<="id":)(?!115310627314723954)[0-9]{18}',  # but for the customer of the orders
    live_flags={"test": False},
)

_DIGEST_LENGTH = 32
_UNNAMED = "webhook"
_SIGNATURE = "X-Shopify-Hmac-SHA256"
_TOPIC = re.compile(r"[a-z][a-z0-9_]{0,49}(/[a-z][a-z0-9_]{0,49}){1,2}", re.ASCII)


class ShopifyInbound(Inbound):
    """Adapter for the webhooks of one app, in one shop or several."""

    name = "shopify"
    settings_schema = SecretsSchema
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    setup = (
        "In the shop's admin open Settings, Notifications, Webhooks, and create a webhook for "
        "each event: order creation, order payment, order cancellation, customer creation.",
        "Format JSON, the address above as URL, the newest API version.",
        "Copy the secret that the page shows (“Your webhooks will be signed with”) into "
        "`secrets` of this source, and restart the hub.",
        "Send a test notification: it comes as a test event.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings["secrets"])

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        header = request.headers.get(_SIGNATURE.lower())
        return verify_hmac(self._secrets, header, request.body, name=_SIGNATURE, encoding="base64")

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of a Shopify webhook."""
        native = read_json(request.body)
        if not isinstance(native, dict) or not native:
            raise Unreadable("a Shopify webhook is a JSON object with something in it")
        data: dict[str, Any] = {"native": native}
        try:
            topic = _topic(request)
            facts.check_topic(topic, native)
        except Unreadable as error:
            topic, data["reason"] = _UNNAMED, str(error)
        kind = NATIVE_TYPES.get(topic)
        read = facts.READERS.get(kind or "")
        fact_key = facts.fact_key(topic, native)
        return [
            Event(
                type=kind or f"shopify.{topic}",
                native_type=topic,
                external_id=_external_id(request, topic, native) or fact_key,
                occurred_at=_occurred_at(request, topic, native),
                data={**(read(native) if read else {}), **data},
                live=native.get("test") is not True,
                fact_key=fact_key,
                fact_window_s=facts.fact_window_s(topic, native),
                fingerprint=sha256(request.body).digest(),
            )
        ]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that topic; the event id ends with `external_id`."""
        body = SAMPLES.body(native_type, external_id, now, live=live)
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": native_type,
            "x-shopify-shop-domain": "example-shop.myshopify.com",
            "x-shopify-api-version": "2026-10",
            "x-shopify-event-id": external_id,
            "x-shopify-webhook-id": f"webhook-{external_id}",
            "x-shopify-triggered-at": json.loads(body)["updated_at"],
            "x-shopify-hmac-sha256": sign_hmac(self._secrets[0], body, encoding="base64"),
        }
        return Sample(body, headers)

    @property
    def untimed(self) -> str:
        """Topics whose body has no time."""
        return "topics whose body has no `updated_at`, like inventory_levels/disconnect"

    def sample_types(self) -> Sequence[str]:
        """Return the topics that `sample` knows."""
        return SAMPLES.types


def _topic(request: InboundRequest) -> str:
    topic = request.headers.get("x-shopify-topic", "")
    if not _TOPIC.fullmatch(topic):
        raise Unreadable("X-Shopify-Topic: missing, or no topic like orders/create")
    return topic


def _external_id(request: InboundRequest, topic: str, native: Mapping[str, Any]) -> str | None:
    """Return the external id; None if there is no event id, whose header is not signed."""
    event_id = request.headers.get("x-shopify-event-id")
    if not is_id(event_id):
        return None
    about = facts.object_id(native) or sha256(request.body).hexdigest()[:_DIGEST_LENGTH]
    parts = [topic, about, native.get("updated_at"), event_id]
    return checked_id(":".join(str(part) for part in parts if part), "id and updated_at")


def _occurred_at(request: InboundRequest, topic: str, native: Mapping[str, Any]) -> datetime:
    field = facts.time_field(topic)
    if native.get(field) is not None:
        return utc_from_text(native[field], field)
    triggered_at = request.headers.get("x-shopify-triggered-at")
    if triggered_at is not None:
        return utc_from_text(triggered_at, "X-Shopify-Triggered-At")
    return request.received_at
