"""Stripe's recorded events, changed as a test wants them, and what the adapter makes of them."""

import json
from typing import Any

from adapters.contract.event import Event
from adapters.stripe.inbound import StripeInbound
from tests.adapters.posting import FIXTURES, NOW_S, posted

NEW, OLD = "whsec_new_secret_0001", "whsec_old_secret_0002"
ADAPTER = StripeInbound({"secrets": [NEW, OLD]})
THIN = "v1.billing.meter.error_report_triggered.thin"


def body_of(name: str) -> bytes:
    return (FIXTURES / "stripe" / f"{name}.json").read_bytes()


def fixture(name: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(body_of(name))
    return envelope


def parsed(envelope: Any) -> Event:
    (event,) = ADAPTER.parse(posted(json.dumps(envelope).encode()))
    return event


def with_object(name: str, /, **changes: Any) -> dict[str, Any]:
    envelope = fixture(name)
    envelope["data"]["object"].update(changes)
    return envelope


def envelope_of(native_type: str, native: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "created": NOW_S,
        "livemode": True,
        "type": native_type,
        "data": {"object": native, **data},
    }
