"""Money in Stripe events: the step of a refund, the unit of a currency, nothing coerced."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import InvalidParameters, Unreadable
from adapters.stripe.money import money, stripe_amount
from tests.adapters.stripe_events import fixture, parsed, with_object


def test_a_refund_is_the_step_and_not_the_total() -> None:
    envelope = with_object("charge.refunded.2020-08-27", amount=900, amount_refunded=700)
    envelope["data"]["previous_attributes"] = {"amount_refunded": 500}
    assert parsed(envelope).data["amount"] == 200


def test_a_refund_without_the_earlier_total_is_the_newest_in_the_list_or_unsaid() -> None:
    envelope = fixture("charge.refunded.2020-08-27")
    del envelope["data"]["previous_attributes"]
    assert parsed(envelope).data["amount"] == 100
    del envelope["data"]["object"]["refunds"]
    assert "amount" not in parsed(envelope).data


def test_a_total_that_shrinks_is_no_refund() -> None:
    envelope = with_object("charge.refunded.2020-08-27", amount_refunded=100)
    envelope["data"]["previous_attributes"] = {"amount_refunded": 500}
    with pytest.raises(Unreadable, match="amount"):
        parsed(envelope)


@pytest.mark.parametrize(
    ("currency", "stripe_amount", "amount"),
    [
        ("usd", 1099, 1099),
        ("jpy", 500, 500),
        ("kwd", 1250, 1250),
        ("mga", 500, 50_000),
        ("isk", 50_000, 500),
        ("ugx", 100, 1),
        ("huf", 10_000, 10_000),
    ],
)
def test_money_is_in_the_iso_4217_minor_unit(
    currency: str, stripe_amount: int, amount: int
) -> None:
    envelope = with_object(
        "payment_intent.succeeded", amount_received=stripe_amount, currency=currency
    )
    data = parsed(envelope).data
    assert (data["amount"], data["currency"]) == (amount, currency.upper())


@pytest.mark.parametrize(
    "amount", ["1099", 10.99, 10.0, True, -1, 2**53, 2**63, [], {}, 10**19, 1e300]
)
@pytest.mark.parametrize("name", ["payment_intent.succeeded", "payment_intent.payment_failed"])
def test_an_amount_is_never_coerced(name: str, amount: Any) -> None:
    with pytest.raises(Unreadable, match="amount"):
        parsed(with_object(name, amount=amount, amount_received=amount))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": None}, "currency"),
        ({"currency": "dollars"}, "currency"),
        ({"currency": "ısk"}, "currency"),
        ({"currency": "isk", "amount_received": 150}, "smaller unit"),
        ({"currency": "mga", "amount_received": 2**53 - 1}, "amount"),
    ],
)
def test_an_amount_that_is_no_money_is_unreadable(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parsed(with_object("payment_intent.succeeded", **changes))


@pytest.mark.parametrize(
    ("currency", "amount", "sent"),
    [
        ("USD", 1099, 1099),
        ("JPY", 500, 500),
        ("KWD", 1250, 1250),
        ("MGA", 50_000, 500),
        ("ISK", 500, 50_000),
        ("UGX", 1, 100),
        ("HUF", 10_000, 10_000),
    ],
)
def test_money_is_asked_for_in_stripe_s_unit(currency: str, amount: int, sent: int) -> None:
    assert stripe_amount(amount, currency) == sent


@given(
    hundreds=st.integers(1, 10**10),
    currency=st.sampled_from("USD EUR JPY KWD BHD ISK UGX MGA IQD LYD CLF UYW KRW".split()),
)
def test_what_is_asked_for_comes_back_as_the_same_money(hundreds: int, currency: str) -> None:
    amount = hundreds * 100
    sent = stripe_amount(amount, currency)
    assert money(sent, currency.lower()) == {"amount": amount, "currency": currency}


@pytest.mark.parametrize(
    ("currency", "amount", "reason"),
    [
        ("MGA", 50_050, "multiple of 100"),
        ("IQD", 1, "multiple of 10"),
        ("CLF", 99, "multiple of 100"),
        ("ISK", 2**53 - 1, "too large"),
    ],
)
def test_an_amount_that_stripe_cannot_count_is_refused(
    currency: str, amount: int, reason: str
) -> None:
    with pytest.raises(InvalidParameters, match=reason):
        stripe_amount(amount, currency)
