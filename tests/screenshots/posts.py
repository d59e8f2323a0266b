"""Requests as the business's providers and visitors send them, at a chosen time."""

import base64
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from adapters import InboundRequest
from adapters.contract.signatures.ecdsa import private_key, sign_ecdsa
from adapters.shopify.inbound import ShopifyInbound
from adapters.stripe.inbound import SAMPLES
from adapters.twilio.signature import sign
from tests.running import STRIPE_SECRET, stripe_signature
from tests.screenshots.town import FORM_ORIGIN, SENDGRID_PRIVATE, TWILIO_TOKEN, Customer

ORIGIN = "http://127.0.0.1:8000"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


def stripe(
    kind: str,
    number: int,
    at: datetime,
    who: Customer,
    amount: int,
    *,
    secret: str = STRIPE_SECRET,
    live: bool = True,
) -> InboundRequest:
    """Return a signed payment, refund or dispute of a customer, with an amount in cents."""
    event = json.loads(SAMPLES.body(kind, f"evt_{number:016d}", at, live=live))
    paid = event["data"]["object"]
    for name in ("amount", "amount_received", "amount_paid", "amount_refunded"):
        if paid.get(name):
            paid[name] = amount
    _put(paid, who)
    return stripe_body(json.dumps(event, indent=2).encode(), at, secret=secret)


def stripe_body(body: bytes, at: datetime, *, secret: str = STRIPE_SECRET) -> InboundRequest:
    """Return a request of Stripe with any body, signed."""
    signature = stripe_signature(body, at_s=int(at.timestamp()), secret=secret)
    headers = {"stripe-signature": signature, "content-type": _JSON, "user-agent": "Stripe/1.0"}
    return _post("webhooks/stripe", headers, body, at)


def sendgrid(kind: str, number: int, at: datetime, who: Customer, **more: Any) -> InboundRequest:
    """Return a SendGrid event about an e-mail."""
    item = {
        "email": who.email,
        "timestamp": int(at.timestamp()),
        "event": kind,
        "sg_event_id": f"picture-{number:012d}",
        "sg_message_id": f"msg{number:019d}.recvd-0",
        **more,
    }
    body = json.dumps([item]).encode()
    headers = sign_ecdsa(private_key(SENDGRID_PRIVATE), int(at.timestamp()), body)
    return _post("webhooks/sendgrid", {"content-type": _JSON, **headers}, body, at)


def text(number: int, at: datetime, who: Customer, words: str) -> InboundRequest:
    """Return an incoming text message from a customer."""
    fields = {
        "AccountSid": "AC0123456789abcdef0123456789abcdef",
        "MessageSid": f"SM{number:032x}",
        "SmsStatus": "received",
        "From": who.phone,
        "To": "+15005550006",
        "Body": words,
        "NumMedia": "0",
    }
    headers = {
        "content-type": f"{_FORM}; charset=UTF-8",
        "x-twilio-signature": sign(TWILIO_TOKEN, f"{ORIGIN}/webhooks/twilio", list(fields.items())),
    }
    return _post("webhooks/twilio", headers, urlencode(fields).encode(), at)


def order(number: int, at: datetime, who: Customer, secret: str) -> InboundRequest:
    """Return a Shopify order of one ladder."""
    shop = ShopifyInbound({"secrets": [secret]})
    url = f"{ORIGIN}/webhooks/shop"
    sample = shop.sample("orders/create", f"order-{number}", at, live=True, url=url)
    body = sample.body.replace(b"jane.doe@example.com", who.email.encode())
    digest = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    headers = {**sample.headers, "x-shopify-hmac-sha256": digest}
    return _post("webhooks/shop", headers, body, at)


def lead(at: datetime, who: Customer, message: str) -> InboundRequest:
    """Return a form submission as the website's script posts it."""
    told = {"name": who.name, "email": who.email, "phone": who.phone, "message": message}
    headers = {"content-type": _JSON, "origin": FORM_ORIGIN, "accept": _JSON}
    return _post("forms/contact", headers, json.dumps(told).encode(), at)


def _put(paid: dict[str, Any], who: Customer) -> None:
    if "receipt_email" in paid:
        paid["receipt_email"] = who.email
    for place in ("shipping", "billing_details"):
        if isinstance(paid.get(place), dict):
            paid[place] |= {"name": who.name, "phone": who.phone}
    if isinstance(paid.get("billing_details"), dict):
        paid["billing_details"]["email"] = who.email
    for name, value in (("email", who.email), ("name", who.name), ("phone", who.phone)):
        if f"customer_{name}" in paid:
            paid[f"customer_{name}"] = value
    if paid.get("customer"):
        paid["customer"] = "cus_" + who.email.partition("@")[0].replace(".", "").ljust(14, "0")


def _post(path: str, headers: dict[str, str], body: bytes, at: datetime) -> InboundRequest:
    return InboundRequest("POST", f"{ORIGIN}/{path}", headers, body, at)
