"""Samples for the tests of HubSpot's webhooks: an item, a time, an address and secrets."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.contract.event import Event
from adapters.contract.request import InboundRequest
from adapters.hubspot.inbound import HubspotInbound, HubspotInboundSettings

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
URL = "https://hub.example/webhooks/hubspot"
SECRET, OLD_SECRET = "client-secret-of-the-app", "client-secret-before-it"
ITEM = {
    "eventId": 1,
    "subscriptionId": 12345,
    "portalId": 62515,
    "occurredAt": 1795000000000,
    "subscriptionType": "contact.propertyChange",
    "attemptNumber": 0,
    "objectId": 123,
    "propertyName": "firstname",
    "propertyValue": "Jane",
    "changeSource": "CRM_UI",
    "sourceId": "userId:1",
    "appId": 54321,
}


def adapter(**settings: Any) -> HubspotInbound:
    given_ = {"secrets": [SECRET, OLD_SECRET]} | settings
    return HubspotInbound(HubspotInboundSettings().load(given_))


def request(
    body: bytes = b"[]", headers: Mapping[str, str] | None = None, url: str = URL
) -> InboundRequest:
    return InboundRequest("POST", url, headers or {}, body, NOW)


def parsed(*items: Any, **settings: Any) -> list[Event]:
    return list(adapter(**settings).parse(request(json.dumps(items).encode())))


def one(item: Mapping[str, Any], **settings: Any) -> Event:
    (event,) = parsed(item, **settings)
    return event
