"""HubSpot's contacts and deals: what a fetched object makes of an event."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from tests.adapters.hubspot import (
    ITEM,
    adapter,
    one,
)

CONTACT = {
    "email": "Jane.Doe@Example.ORG",
    "firstname": "Jane",
    "lastname": "Doe",
    "phone": "020 7946 0018",
    "mobilephone": "+44 20 7946 0018",
    "lifecyclestage": "lead",
}
DEAL = {
    "dealname": "Roof",
    "amount": "1250.50",
    "deal_currency_code": "USD",
    "dealstage": "closedwon",
    "pipeline": "default",
}


def completed(properties: Any, *, found_id: Any = "123", native: str = "contact") -> Event:
    event = one(ITEM | {"subscriptionType": f"{native}.propertyChange"})
    return adapter().complete(event, {"id": found_id, "properties": properties})


def test_a_fetched_contact_completes_its_event() -> None:
    event = completed(CONTACT)
    before = one(ITEM)
    assert not event.incomplete
    assert (event.external_id, event.occurred_at) == (before.external_id, before.occurred_at)
    assert (event.type, event.fact_key) == (before.type, before.fact_key)
    assert event.data == {
        "object_id": "123",
        "changed": ["firstname"],
        "email": "Jane.Doe@example.org",
        "phone": "+442079460018",
        "name": "Jane Doe",
        "status": "lead",
        "native": {**ITEM, "properties": CONTACT},
    }


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("1250.50", "USD", 125050),
        ("1250.5", "usd", 125050),
        ("1250", "USD", 125000),
        ("1250.0000", "USD", 125000),
        ("0", "USD", 0),
        ("0.1", "EUR", 10),
        ("1250", "JPY", 1250),
        ("1.234", "KWD", 1234),
        (1250.5, "USD", 125050),
    ],
)
def test_a_deal_s_amount_is_in_the_minor_unit_of_its_currency(
    amount: Any, currency: str, minor: int
) -> None:
    data = completed(DEAL | {"amount": amount, "deal_currency_code": currency}, native="deal").data
    assert (data["amount"], data["currency"]) == (minor, currency.upper())
    assert (data["name"], data["status"]) == ("Roof", "closedwon")


@pytest.mark.parametrize(
    "money",
    [
        {"deal_currency_code": None},
        {"deal_currency_code": ""},
        {"deal_currency_code": "US"},
        {"amount": None},
        {"amount": ""},
        {"amount": "-5"},
        {"amount": "1e5"},
        {"amount": "NaN"},
        {"amount": "1,250.00"},
        {"amount": "0.125"},
        {"amount": "1.5", "deal_currency_code": "JPY"},
        {"amount": "9" * 17},
        {"amount": True},
    ],
)
def test_what_is_no_money_is_left_out_whole(money: dict[str, Any]) -> None:
    data = completed(DEAL | money, native="deal").data
    assert "amount" not in data
    assert "currency" not in data
    assert data["name"] == "Roof"


def test_what_a_contact_does_not_say_is_absent() -> None:
    silent = dict.fromkeys(CONTACT) | {"firstname": " ", "phone": "555"}
    assert set(completed(silent).data) == {"object_id", "changed", "native"}
    assert completed({"lastname": "Doe"}).data["name"] == "Doe"


def test_an_object_that_is_gone_completes_with_its_id_alone() -> None:
    event = adapter().complete(one(ITEM), {"gone": True})
    assert not event.incomplete
    assert event.data == {"object_id": "123", "native": ITEM}


def test_a_merged_contact_has_the_id_that_is_left() -> None:
    assert completed(CONTACT, found_id="456").data["object_id"] == "456"


STRANGE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(
    found=st.fixed_dictionaries(
        {},
        optional={
            "id": STRANGE,
            "gone": STRANGE,
            "properties": st.one_of(
                STRANGE, st.dictionaries(st.sampled_from([*CONTACT, *DEAL]), STRANGE)
            ),
        },
    ),
    native=st.sampled_from(["contact", "deal"]),
)
def test_whatever_was_found_it_completes_or_is_unreadable(
    found: dict[str, Any], native: str
) -> None:
    event = one(ITEM | {"subscriptionType": f"{native}.creation"})
    try:
        done = adapter().complete(event, found)
    except Unreadable:
        return
    assert not done.incomplete
    assert None not in done.data.values()
    assert type(done.data.get("amount", 0)) is int


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"gone": False},
        {"id": "1"},
        {"id": None, "properties": {}},
        {"id": "", "properties": {}},
    ],
)
def test_what_was_not_asked_for_is_unreadable(found: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        adapter().complete(one(ITEM), found)
    with pytest.raises(Unreadable):
        adapter().complete(
            one(ITEM | {"subscriptionType": "contact.deletion"}), {"id": "1", "properties": {}}
        )
