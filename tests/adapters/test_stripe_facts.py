"""Fields of Stripe objects, in both shapes wherever something was moved."""

from typing import Any

import pytest

from tests.adapters.posting import NOW_S
from tests.adapters.stripe_events import envelope_of, fixture, parsed, with_object


def test_payments_of_one_intent_share_its_id() -> None:
    refund = with_object("charge.refunded.2020-08-27", payment_intent="pi_1")
    dispute = with_object("charge.dispute.created", payment_intent={"id": "pi_1"})
    payment = with_object("payment_intent.succeeded", id="pi_1")
    assert {parsed(e).data["object_id"] for e in (refund, dispute, payment)} == {"pi_1"}


@pytest.mark.parametrize("name", ["2020-08-27", ""])
def test_a_subscription_before_and_after_basil(name: str) -> None:
    suffix = f".{name}" if name else ""
    data = parsed(fixture(f"customer.subscription.created{suffix}")).data
    assert data["status"] == "active"
    assert data["currency"] == "USD"
    assert {"plan", "period_end_at", "amount", "customer_id"} <= set(data)


def test_a_subscription_with_several_items_is_their_sum_and_ends_with_the_first() -> None:
    end = NOW_S
    items = [
        {"price": {"id": "price_1", "unit_amount": 1500}, "quantity": 2, "current_period_end": end},
        {
            "price": {"id": "price_2", "unit_amount": 700},
            "quantity": 1,
            "current_period_end": end + 9,
        },
    ]
    envelope = with_object("customer.subscription.created", items={"data": items})
    data = parsed(envelope).data
    assert (data["amount"], data["plan"]) == (3700, "price_1")
    assert data["period_end_at"] == "2026-11-20T12:00:00Z"
    items[1]["price"] = {"id": "price_tiered", "unit_amount": None}
    assert "amount" not in parsed(envelope).data


def test_the_payer_of_an_intent_before_and_after_the_charges_moved() -> None:
    billing = {"email": "Jane@EXAMPLE.com", "name": "Jane Doe", "phone": "+1 (202) 555-0123"}
    charge = {"id": "ch_1", "billing_details": billing}
    bare = {"receipt_email": None, "shipping": None}
    name = "payment_intent.succeeded"
    for place in ({"charges": {"data": [charge]}}, {"latest_charge": charge}):
        data = parsed(with_object(name, **bare, **place)).data
        assert data["email"] == "Jane@example.com"
        assert (data["name"], data["phone"]) == ("Jane Doe", "+12025550123")


def test_an_invoice_without_metadata_has_its_subscriptions() -> None:
    details = {"metadata": {"plan": "gold"}, "subscription": "sub_1"}
    for place in ({"parent": {"subscription_details": details}}, {"subscription_details": details}):
        envelope = envelope_of("invoice.paid", {"id": "in_1", "metadata": {}, **place})
        assert parsed(envelope).data["metadata"] == {"plan": "gold"}
    own = envelope_of("invoice.paid", {"id": "in_1", "metadata": {"a": "b"}, **place})
    assert parsed(own).data["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    "phone", ["202 555 0123", "00442079460000", "+44 (0)20 7946 0000", "+0", 7]
)
def test_a_phone_that_does_not_say_its_country_is_absent(phone: Any) -> None:
    assert "phone" not in parsed(with_object("customer.created", phone=phone)).data


def test_a_route_sees_the_connected_account() -> None:
    envelope = fixture("payment_intent.succeeded")
    assert "account" not in parsed(envelope).data
    assert parsed(envelope | {"account": "acct_1"}).data["account"] == "acct_1"
    for strange in (None, "", 7, {"id": "acct_1"}, "acct_\u00e9", "acct_1\n"):
        assert "account" not in parsed(envelope | {"account": strange}).data
