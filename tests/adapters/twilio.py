"""Webhooks of Twilio for tests: fields, signed by the official library."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from adapters.contract.event import Event
from adapters.contract.request import InboundRequest
from adapters.twilio.inbound import TwilioInbound, TwilioInboundSettings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKEN, SUB_TOKEN, SHARED = "main_token_0123456789", "sub_token_0123456789", "shared_0123456789"
MAIN, SUB = "AC" + "0" * 32, "AC" + "5" * 32
URL = "https://hub.example.com/webhooks/twilio"
SID, CALL = "SM" + "a" * 32, "CA" + "b" * 32
FORM = "application/x-www-form-urlencoded"
DELIVERY = "0190f1c2-7a3b-7c11-8000-0123456789ab"

RECEIVED: Mapping[str, str] = {
    "AccountSid": MAIN,
    "MessageSid": SID,
    "SmsStatus": "received",
    "From": "+12025550123",
    "To": "+15005550006",
    "Body": "Hello",
    "FromCity": "",
}
STATUS: Mapping[str, str] = {
    "AccountSid": MAIN,
    "MessageSid": SID,
    "MessageStatus": "delivered",
    "SmsStatus": "delivered",
    "To": "+12025550123",
}
CALLED: Mapping[str, str] = {
    "AccountSid": MAIN,
    "CallSid": CALL,
    "CallStatus": "completed",
    "Direction": "inbound",
    "From": "+12025550123",
    "To": "+15005550006",
}


def made(**settings: Any) -> TwilioInbound:
    return TwilioInbound(TwilioInboundSettings().load(settings or {"secrets": [TOKEN]}))


def signature(
    fields: Mapping[str, str] | None,
    *,
    url: str = URL,
    token: str = TOKEN,
    algorithm: str | None = None,
) -> str:
    """Return what the official library makes of it."""
    signed: str = RequestValidator(token).compute_signature(url, fields or {}, algorithm)
    return signed


def request(
    fields: Mapping[str, str] | Sequence[tuple[str, str]],
    *,
    url: str = URL,
    signed: str = "",
    **headers: str,
) -> InboundRequest:
    body = urlencode(fields).encode()
    said = {"content-type": f"{FORM}; charset=UTF-8"} | headers
    if signed:
        said["x-twilio-signature"] = signed
    return InboundRequest("POST", url, said, body, NOW)


def parsed(fields: Mapping[str, str] | Sequence[tuple[str, str]], url: str = URL) -> Event:
    (event,) = made().parse(request(fields, url=url))
    return event
