"""hubspot's list: what happened while nobody listened, once."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters import AccountRefused, AdapterError, Event, InboundRequest, NotSent, Unreadable
from adapters.hubspot.inbound import HubspotInbound, HubspotInboundSettings
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.crm import Crm, refused, said
from tests.far_end import FarEnd, Received, Reply

STUCK = {"id": "0", "properties": {}, "createdAt": "2026-11-20T11:00:00Z"}
SINCE = NOW - timedelta(days=3)
INBOUND = HubspotInbound(
    HubspotInboundSettings().load({"secrets": ["a-client-secret"], "app_id": 54321})
)


def ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000


def add(crm: Crm, kind: str, created: datetime, modified: datetime, **properties: str) -> str:
    object_id = crm.add(kind, **properties)
    crm.objects[kind][object_id] |= {
        "created_at": created.isoformat(),
        "updated_at": modified.isoformat(),
        "modified_ms": str(ms(modified)),
    }
    return object_id


def events(crm: Any, transport: Any, since: datetime = SINCE) -> list[Event]:
    with FarEnd(crm.behave) as far:
        account = {"token": "pat-na1-secret", "base_url": far.url}
        return read(INBOUND.list_since(since, NOW, transport, account))


def read(listed: Any) -> list[Event]:
    return [
        event
        for one in listed
        for event in INBOUND.parse(InboundRequest("POST", "", one.headers, one.body, NOW))
    ]


def test_what_is_new_is_created_and_what_is_older_is_changed(
    transport: GuardedTransport,
) -> None:
    crm = Crm()
    day = timedelta(days=1)
    new = add(crm, "contacts", NOW - day, NOW)
    old = add(crm, "contacts", NOW - 9 * day, NOW - 2 * day)
    add(crm, "contacts", NOW - 9 * day, NOW - 8 * day)
    deal = add(crm, "deals", SINCE, SINCE)
    found = events(crm, transport)
    assert [(one.type, one.data["object_id"], one.occurred_at) for one in found] == [
        ("contact.created", new, NOW - day),
        ("contact.changed", old, NOW - 2 * day),
        ("deal.created", deal, SINCE),
    ]
    assert all(one.incomplete and one.fetch for one in found)
    assert all("changed" not in one.data for one in found)


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_every_page_is_read(transport: GuardedTransport, page: int) -> None:
    crm = Crm(page=page)
    ids = [add(crm, "contacts", NOW, NOW) for _ in range(7)]
    ids += [add(crm, "deals", NOW, NOW) for _ in range(3)]
    assert [one.data["object_id"] for one in events(crm, transport)] == ids


def test_what_changes_meanwhile_is_neither_missed_nor_seen_twice(
    transport: GuardedTransport,
) -> None:
    class Busy(Crm):
        def search(self, kind: str, value: Any) -> Reply:
            for one in self.objects[kind].values():
                one["modified_ms"] = str(int(one["modified_ms"]) + 1)
            return super().search(kind, value)

    crm = Busy(page=2)
    ids = [add(crm, "contacts", NOW, NOW) for _ in range(5)]
    assert [one.data["object_id"] for one in events(crm, transport)] == ids


def test_a_second_listing_makes_no_second_event(transport: GuardedTransport) -> None:
    crm = Crm()
    changed = add(crm, "contacts", NOW - timedelta(days=9), NOW)
    add(crm, "contacts", NOW - timedelta(hours=1), NOW)
    same_id = add(crm, "deals", NOW, NOW)
    crm.objects["deals"][changed] = crm.objects["deals"].pop(same_id)
    first, second = events(crm, transport), events(crm, transport)
    assert [(one.external_id, one.fact_key, one.fingerprint) for one in first] == [
        (one.external_id, one.fact_key, one.fingerprint) for one in second
    ]
    assert len({one.external_id for one in first}) == len({one.fact_key for one in first}) == 3
    crm.objects["contacts"][changed]["updated_at"] = (NOW + timedelta(seconds=1)).isoformat()
    third = events(crm, transport)
    assert third[0].external_id != first[0].external_id
    assert third[1:] == first[1:]


def webhook(native_type: str, object_id: str, at: datetime, **more: Any) -> Event:
    item = {
        "eventId": 1,
        "subscriptionId": 2,
        "portalId": 62515,
        "occurredAt": ms(at),
        "subscriptionType": native_type,
        "attemptNumber": 0,
        "objectId": int(object_id),
    }
    body = json.dumps([item | more]).encode()
    (event,) = INBOUND.parse(InboundRequest("POST", "", {}, body, NOW))
    return event


def test_a_creation_that_a_webhook_told_is_the_same_fact(transport: GuardedTransport) -> None:
    crm = Crm()
    contact, deal = add(crm, "contacts", NOW, NOW), add(crm, "deals", NOW, NOW)
    listed = events(crm, transport)
    for one, native_type, object_id in (
        (listed[0], "contact.creation", contact),
        (listed[1], "deal.creation", deal),
    ):
        told = webhook(native_type, object_id, NOW - timedelta(milliseconds=80))
        assert told.fact_key == one.fact_key is not None
        assert told.external_id != one.external_id


def test_a_change_that_a_webhook_told_is_not(transport: GuardedTransport) -> None:
    crm = Crm()
    contact = add(crm, "contacts", NOW - timedelta(days=9), NOW)
    (listed,) = events(crm, transport)
    told = webhook("contact.propertyChange", contact, NOW, propertyName="email")
    assert told.fact_key != listed.fact_key


def test_what_the_hub_created_is_an_echo(transport: GuardedTransport) -> None:
    crm = Crm()
    sources = {
        "INTEGRATION:54321": True,
        "INTEGRATION:99": False,
        "CRM_UI:54321": False,
    }
    for source in sources:
        name, _, source_id = source.partition(":")
        more = {"hs_object_source": name, "hs_object_source_id": source_id}
        add(crm, "contacts", NOW, NOW, **more)
    assert [one.echo for one in events(crm, transport)] == list(sources.values())


def test_without_an_account_it_says_what_is_needed(transport: GuardedTransport) -> None:
    with pytest.raises(AccountRefused, match="adapter: hubspot"):
        list(INBOUND.list_since(SINCE, NOW, transport, {}))


def test_it_asks_for_an_access_token(transport: GuardedTransport) -> None:
    crm = Crm()
    add(crm, "contacts", NOW, NOW)

    def behave(received: Received) -> Reply:
        if received.path == "/oauth/v3/token":
            return said(200, {"access_token": "token-1", "expires_in": 1800})
        assert received.headers["authorization"] == "Bearer token-1"
        return crm.behave(received)

    with FarEnd(behave) as far:
        account = {"client_id": "a", "client_secret": "b", "refresh_token": "c"}
        listed = INBOUND.list_since(SINCE, NOW, transport, account | {"base_url": far.url})
        assert len(read(listed)) == 1
        asked = [received.path for received in far.received if "oauth" in received.path]
    assert len(asked) == 1


@pytest.mark.parametrize("part", ["account-info", "contacts/search", "deals/search"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused(401, "INVALID_AUTHENTICATION", "no pat-na1-secret"), AccountRefused),
        (refused(403, "MISSING_SCOPES", "no"), AccountRefused),
        (said(429, {"policyName": "SECONDLY"}), NotSent),
        (said(500, {}), NotSent),
        (said(400, {"category": "VALIDATION_ERROR"}), NotSent),
        (Reply(0), NotSent),
        (Reply(200, b"<html>"), Unreadable),
        (said(200, {}), Unreadable),
        (said(200, {"results": {}, "portalId": "x"}), Unreadable),
        (said(200, {"results": [7], "portalId": None}), Unreadable),
        (said(200, {"results": [{"id": "x", "properties": {}}]}), Unreadable),
        (said(200, {"results": [{"id": "5", "properties": {}}]}), Unreadable),
        (said(200, {"results": [{"id": "9" * 5000, "properties": {}}]}), Unreadable),
        (said(200, {"results": [STUCK]}), Unreadable),
    ],
)  # fmt: skip
def test_a_list_that_breaks_off_is_told(
    transport: GuardedTransport, part: str, reply: Reply, error: type[AdapterError]
) -> None:
    crm = Crm()
    add(crm, "contacts", NOW, NOW)

    class Broken:
        @staticmethod
        def behave(received: Received) -> Reply:
            return reply if part in received.path else crm.behave(received)

    with pytest.raises(error) as caught:
        events(Broken, transport)
    assert str(caught.value)
    assert "pat-na1" not in str(caught.value)


@pytest.mark.parametrize("created", ["1969-12-31T00:00:00Z", "soon", "", None, 7])
@pytest.mark.parametrize("key", ["created_at", "updated_at"])
def test_one_with_an_impossible_time_ends_no_list(
    transport: GuardedTransport, key: str, created: Any
) -> None:
    crm = Crm(page=2)
    day = timedelta(days=1)
    ids = [add(crm, "contacts", NOW - 9 * day, NOW - day) for _ in range(5)]
    crm.objects["contacts"][ids[2]][key] = created
    with FarEnd(crm.behave) as far:
        account = {"token": "pat-na1-secret", "base_url": far.url}
        listed = list(INBOUND.list_since(SINCE, NOW, transport, account))
    assert len(listed) == 5
    with pytest.raises(Unreadable):
        read([listed.pop(2)])
    assert [one.data["object_id"] for one in read(listed)] == ids[:2] + ids[3:]
