"""HubSpot's items: what each is, which are one, which are ours, and what is none."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.hubspot.inbound import HubspotInboundSettings
from tests.adapters.hubspot import (
    ITEM,
    NOW,
    NOW_MS,
    SECRET,
    adapter,
    one,
    parsed,
    request,
)


def test_the_id_is_what_makes_an_event_one() -> None:
    event = one(ITEM)
    assert event.external_id == "62515:12345:1:123:firstname:1795000000000"
    again = one(ITEM | {"attemptNumber": 7})
    assert (again.external_id, again.fingerprint) == (event.external_id, event.fingerprint)
    other = one(ITEM | {"propertyValue": "Joan"})
    assert other.external_id == event.external_id
    assert other.fingerprint != event.fingerprint


PART = st.one_of(st.integers(0, 3), st.sampled_from([None, "a", ":", "a:", "1:2", "é", "x" * 300]))


@given(first=st.tuples(*[PART] * 5), second=st.tuples(*[PART] * 5))
def test_two_facts_never_share_an_id(first: Any, second: Any) -> None:
    names = ("portalId", "subscriptionId", "eventId", "objectId", "propertyName")
    ids = [
        one(ITEM | {"subscriptionType": "company.creation"} | dict(zip(names, values, strict=True)))
        for values in (first, second)
    ]
    same = [str("" if a is None else a) for a in first] == [
        str("" if b is None else b) for b in second
    ]
    assert (ids[0].external_id == ids[1].external_id) is same
    assert all(len(event.external_id) <= 255 for event in ids)


def test_one_fact_of_two_subscriptions_has_one_fact_key() -> None:
    newer = ITEM | {
        "subscriptionId": 9,
        "eventId": 2,
        "subscriptionType": "object.propertyChange",
        "objectTypeId": "0-1",
    }
    first, second = parsed(ITEM, newer)
    assert first.external_id != second.external_id
    assert (
        first.fact_key == second.fact_key == ("contact.changed:62515:123:firstname:1795000000000")
    )
    assert (first.type, second.type) == ("contact.changed", "contact.changed")


@pytest.mark.parametrize(
    "other",
    [
        {"objectId": 124},
        {"portalId": 1},
        {"propertyName": "lastname"},
        {"occurredAt": 1795000000001},
        {"subscriptionType": "deal.propertyChange"},
    ],
)
def test_another_fact_has_another_fact_key(other: dict[str, Any]) -> None:
    assert one(ITEM).fact_key != one(ITEM | other).fact_key


def test_an_object_is_created_once() -> None:
    created = ITEM | {"subscriptionType": "contact.creation"}
    later = created | {"occurredAt": 1795000000500, "subscriptionId": 2}
    assert one(created).fact_key == one(later).fact_key == "contact.created:62515:123"
    without = {name: value for name, value in created.items() if name != "portalId"}
    assert one(without).fact_key is None


@pytest.mark.parametrize(
    ("native", "extra", "kind", "fetched"),
    [
        ("contact.creation", {}, "contact.created", "contacts"),
        ("contact.propertyChange", {}, "contact.changed", "contacts"),
        ("contact.deletion", {}, "contact.deleted", None),
        ("contact.privacyDeletion", {}, "contact.deleted", None),
        ("deal.creation", {}, "deal.created", "deals"),
        ("deal.propertyChange", {}, "deal.changed", "deals"),
        ("object.creation", {"objectTypeId": "0-1"}, "contact.created", "contacts"),
        ("object.deletion", {"objectTypeId": "0-1"}, "contact.deleted", None),
        ("object.creation", {"objectTypeId": "0-3"}, "deal.created", "deals"),
        ("object.propertyChange", {"objectTypeId": "0-3"}, "deal.changed", "deals"),
        ("object.creation", {"objectTypeId": "0-2"}, "hubspot.object.creation", None),
        ("object.creation", {"objectTypeId": ["0-1"]}, "hubspot.object.creation", None),
        ("object.creation", {}, "hubspot.object.creation", None),
        ("deal.deletion", {}, "hubspot.deal.deletion", None),
        ("company.creation", {}, "hubspot.company.creation", None),
    ],
)
def test_each_native_type_has_its_canonical_one(
    native: str, extra: dict[str, Any], kind: str, fetched: str | None
) -> None:
    event = one(ITEM | {"subscriptionType": native} | extra)
    assert (event.type, event.native_type) == (kind, native)
    assert event.incomplete is (fetched is not None)
    assert event.fetch == ({"object": fetched, "id": "123"} if fetched else None)
    assert event.data["object_id"] == "123"


@pytest.mark.parametrize(
    ("source", "source_id", "echo"),
    [
        ("INTEGRATION", "54321", True),
        ("INTEGRATION", 54321, True),
        ("INTEGRATION", "appId:54321", True),
        ("INTEGRATION", "154321", False),
        ("INTEGRATION", "543210", False),
        ("INTEGRATION", None, False),
        ("INTEGRATION", ["x"], False),
        ("CRM_UI", "54321", False),
        (["INTEGRATION"], "54321", False),
    ],
)
@pytest.mark.parametrize("app_id", [54321, "54321"])
def test_our_own_writes_are_echoes(source: Any, source_id: Any, echo: bool, app_id: Any) -> None:
    event = one(ITEM | {"changeSource": source, "sourceId": source_id}, app_id=app_id)
    assert event.echo is echo
    assert event.type == "contact.changed"
    assert event.incomplete is not echo
    assert (event.fetch is None) is echo


@pytest.mark.parametrize("app_id", [None, ""])
def test_without_an_app_id_nothing_is_an_echo(app_id: Any) -> None:
    ours = ITEM | {"changeSource": "INTEGRATION", "sourceId": "54321"}
    assert not one(ours, app_id=app_id).echo
    assert not one(ours | {"sourceId": "None"}, app_id=app_id).echo


def test_items_of_another_account_keep_their_native_type() -> None:
    ours = ITEM | {"changeSource": "INTEGRATION", "sourceId": "54321"}
    settings = {"portals": [62515, "7"], "app_id": 54321}
    assert one(ours, **settings).echo
    for portal in (1, None, "62515", True):
        event = one(ours | {"portalId": portal}, **settings)
        assert event.type == "hubspot.contact.propertyChange"
        assert (event.echo, event.incomplete, event.fetch) == (False, False, None)
    assert one(ITEM | {"portalId": 7}, **settings).type == "contact.changed"


BAD = [
    None,
    7,
    "text",
    [ITEM],
    {},
    {"subscriptionType": "contact.creation"},
    ITEM | {"occurredAt": None},
    ITEM | {"occurredAt": 1.5},
    ITEM | {"occurredAt": True},
    ITEM | {"occurredAt": 1795000000},
    ITEM | {"objectId": None},
    ITEM | {"objectId": "12a"},
    ITEM | {"objectId": True},
    ITEM | {"objectId": -1},
    ITEM | {"subscriptionType": None},
    ITEM | {"subscriptionType": "x" * 101},
    ITEM | {"subscriptionType": "unreadable"},
    ITEM | {"subscriptionType": "with space"},
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_item_loses_no_other(bad: Any, place: int) -> None:
    items: list[Any] = [ITEM, ITEM | {"eventId": 2}]
    items.insert(place, bad)
    events = parsed(*items)
    assert len(events) == 3
    unreadable = events.pop(place)
    assert [event.type for event in events] == ["contact.changed"] * 2
    assert (unreadable.type, unreadable.native_type) == ("hubspot.unreadable", "unreadable")
    assert unreadable.data["reason"]
    assert unreadable.occurred_at == NOW
    assert unreadable.data.get("native") == bad
    assert not unreadable.incomplete


def test_a_bad_item_that_is_sent_again_is_the_same() -> None:
    bad = ITEM | {"occurredAt": "soon"}
    first, second = one(bad), one(bad | {"attemptNumber": 3})
    assert first.external_id == second.external_id
    assert first.fingerprint == second.fingerprint
    assert one(bad | {"eventId": 5}).external_id != first.external_id


def test_the_time_has_milliseconds() -> None:
    assert one(ITEM | {"occurredAt": NOW_MS + 7}).occurred_at == NOW + timedelta(milliseconds=7)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"subscriptionType": "x"}', b"[", b""])
def test_what_is_no_array_of_items_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        adapter().parse(request(body))


@pytest.mark.parametrize(
    "wrong",
    [
        {"secrets": []},
        {"app_id": "x"},
        {"portals": ["x"]},
        {"signatures": []},
        {"signatures": ["v4"]},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    assert HubspotInboundSettings().validate({"secrets": [SECRET]} | wrong)
