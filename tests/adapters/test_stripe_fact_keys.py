"""Twins of Stripe events share a fact key, and no two facts do."""

import pytest

from tests.adapters.stripe_events import fixture, parsed, with_object


def test_twin_events_share_a_fact_and_two_payments_do_not() -> None:
    envelope = fixture("payment_intent.succeeded")
    twin = parsed(envelope | {"id": "evt_twin"})
    assert parsed(envelope).fact_key == twin.fact_key
    other = parsed(with_object("payment_intent.succeeded", id="pi_other"))
    assert other.fact_key != twin.fact_key


def test_two_refunds_of_one_charge_in_one_second_are_two_facts() -> None:
    keys = {
        parsed(with_object("charge.refunded.2020-08-27", amount_refunded=total)).fact_key
        for total in (100, 200)
    }
    assert len(keys) == 2
    assert None not in keys


@pytest.mark.parametrize(
    "name",
    [
        "customer.subscription.updated.2020-08-27",
        "customer.updated",
        "invoice.payment_failed.2020-08-27",
        "payment_intent.payment_failed",
    ],
)
def test_what_may_happen_twice_in_a_second_has_no_fact_key(name: str) -> None:
    assert parsed(fixture(name)).fact_key is None


def test_a_failed_attempt_is_known_by_the_charge_that_failed() -> None:
    name = "payment_intent.payment_failed"
    first, second = (
        parsed(with_object(name, last_payment_error={"code": "card_declined", "charge": charge}))
        for charge in ("ch_1", "ch_2")
    )
    assert first.fact_key
    assert first.fact_key != second.fact_key
    assert first.data["reason"] == "card_declined"


def test_refunds_of_one_second_told_with_the_same_total_are_still_two_facts() -> None:
    events = []
    for before in (0, 100):
        envelope = with_object("charge.refunded.2020-08-27", amount=900, amount_refunded=300)
        envelope["data"]["previous_attributes"] = {"amount_refunded": before}
        events.append(parsed(envelope))
    assert [event.data["amount"] for event in events] == [300, 200]
    assert events[0].fact_key != events[1].fact_key


def test_a_refund_in_three_steps_within_a_second_adds_up() -> None:
    events, total = [], 0
    for step in (100, 250, 50):
        envelope = with_object("charge.refunded.2020-08-27", amount_refunded=total + step)
        envelope["data"]["previous_attributes"] = {"amount_refunded": total}
        total += step
        events.append(parsed(envelope))
    assert [event.data["amount"] for event in events] == [100, 250, 50]
    assert len({event.fact_key for event in events}) == 3
    assert len({event.occurred_at for event in events}) == 1
