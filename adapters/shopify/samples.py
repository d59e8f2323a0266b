"""Samples of Shopify's webhooks, each with ids and times of its own."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.contract.fields import rfc3339

SAMPLE_TYPES = (
    "orders/create",
    "orders/paid",
    "orders/cancelled",
    "customers/create",
    "customers/update",
)

_PERSON: dict[str, Any] = {
    "id": 115310627314723954,
    "email": "jane.doe@example.com",
    "phone": "+12025550123",
    "first_name": "Jane",
    "last_name": "Doe",
    "state": "enabled",
}


def sample_body(topic: str, external_id: str, now: datetime, *, live: bool) -> bytes:
    """Return the body as Shopify would send it, slashes escaped.

    Raises:
        LookupError: there is no sample of that topic; the message lists those that exist.
    """
    if topic not in SAMPLE_TYPES:
        raise LookupError(f"no sample of {topic}; there are: {', '.join(SAMPLE_TYPES)}")
    number = int(sha256(external_id.encode()).hexdigest()[:14], 16) + 1
    at = rfc3339(now)
    own: dict[str, Any] = {"id": number, "created_at": at, "updated_at": at, "test": not live}
    tree = own | (_PERSON | own if topic.startswith("customers/") else _order(topic, number, at))
    return json.dumps(tree, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def _order(topic: str, number: int, at: str) -> dict[str, Any]:
    cancelled = topic == "orders/cancelled"
    paid = topic == "orders/paid"
    return {
        "name": "#1001",
        "order_number": 1001,
        "email": _PERSON["email"],
        "financial_status": "paid" if paid else "voided" if cancelled else "pending",
        "cancelled_at": at if cancelled else None,
        "currency": "USD",
        "total_price": "42.50",
        "customer": _PERSON,
        "line_items": [{"id": number + 1, "name": "Ladder, 3 m", "sku": "LADDER-3", "quantity": 1}],
        "order_status_url": "https://example-shop.myshopify.com/1/orders/0",
    }
