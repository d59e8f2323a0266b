"""Samples of Stripe's webhooks, each with ids and times of its own.

A body follows from (native type, external id, now) alone. Two external ids give two facts: every
id in it is made anew from the external id, but for what outlives one event (customer, price,
product), so that a day of samples is one customer's. Times move with `now`.
"""

import json
import re
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

SAMPLE_TYPES = (
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
)

_ID = re.compile(r"\b(cs_test|[a-z]{2,8})_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10,}\b")
_LASTING = frozenset("acct cus plan price prod".split())
_ANCHOR = 1_795_000_000
_ANCHORED = range(_ANCHOR - 366 * 86_400, _ANCHOR + 366 * 86_400)


def sample_body(native_type: str, external_id: str, now: datetime, *, live: bool) -> bytes:
    """Return the body as Stripe would send it: pretty-printed, `created` at `now`.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        known = ", ".join(SAMPLE_TYPES)
        raise LookupError(f"no sample of {native_type}; there are: {known}")
    event = _moved(json.loads(_with_own_ids(native_type, external_id)), int(now.timestamp()))
    event["id"] = external_id if external_id.startswith("evt_") else f"evt_{external_id}"
    event["livemode"] = live
    native = event["data"]["object"]
    if "livemode" in native:
        native["livemode"] = live
    return json.dumps(event, indent=2).encode("ascii")


@cache
def _template(native_type: str) -> tuple[str, str]:
    """Return the sample's text and the id of the object that it is about."""
    text = (files("adapters.stripe") / "samples" / f"{native_type}.json").read_text("utf-8")
    return text, json.loads(text)["data"]["object"]["id"]


def _with_own_ids(native_type: str, external_id: str) -> str:
    text, object_id = _template(native_type)

    def own_id(found: re.Match[str]) -> str:
        old, prefix = found[0], found[1]
        if prefix in _LASTING and old != object_id:
            return old
        return f"{prefix}_{sha256(f'{external_id} {old}'.encode()).hexdigest()[:24]}"

    return _ID.sub(own_id, text)


def _moved(node: Any, now_s: int) -> Any:
    if isinstance(node, dict):
        return {key: _moved(value, now_s) for key, value in node.items()}
    if isinstance(node, list):
        return [_moved(value, now_s) for value in node]
    return node - _ANCHOR + now_s if type(node) is int and node in _ANCHORED else node
