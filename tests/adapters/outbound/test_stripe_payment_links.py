"""stripe.create_payment_link: an address to pay at, made once."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters import InvalidParameters, LookupVerdict, Verdict
from adapters.contract.errors import AnswerLost
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, desk, stripe
from tests.stripe_far_end import Fault, StripeFarEnd

__all__ = ["desk", "stripe"]

ACTION = "create_payment_link"
ROOF = {"amount": 4200, "currency": "USD", "description": "Roof check"}


def body(stripe: StripeFarEnd) -> dict[str, str]:
    (post,) = stripe.posts()
    assert post.headers["idempotency-key"] == DELIVERY
    return dict(parse_qsl(post.body.decode()))


def test_a_thing_to_sell_becomes_a_link(desk: Desk, stripe: StripeFarEnd) -> None:
    outcome = desk.perform(ACTION, ROOF | {"quantity": 2, "metadata": {"job": 7}})
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "plink_1")
    assert outcome.message == ""
    assert body(stripe) == {
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][product_data][name]": "Roof check",
        "line_items[0][price_data][unit_amount]": "4200",
        "line_items[0][quantity]": "2",
        "metadata[job]": "7",
        "metadata[hub_delivery]": DELIVERY,
    }


def test_a_price_becomes_a_link(desk: Desk, stripe: StripeFarEnd) -> None:
    desk.perform(ACTION, {"price": "price_1"})
    assert body(stripe) == {
        "line_items[0][price]": "price_1",
        "line_items[0][quantity]": "1",
        "metadata[hub_delivery]": DELIVERY,
    }


@pytest.mark.parametrize("code", ["isk", "UGX"])
def test_the_amount_is_converted(desk: Desk, stripe: StripeFarEnd, code: str) -> None:
    desk.perform(ACTION, ROOF | {"currency": code})
    assert body(stripe)["line_items[0][price_data][unit_amount]"] == "420000"


@pytest.mark.parametrize("done", [True, False])
def test_a_stored_500_is_read_back(desk: Desk, stripe: StripeFarEnd, done: bool) -> None:
    for number in range(150):
        stripe.add("payment_links", id=f"plink_x{number}")
    stripe.faults = [Fault("/payment_links", done=done)]
    verdicts = [desk.perform(ACTION, ROOF).verdict for _ in range(3)]
    settled = Verdict.SUCCEEDED if done else Verdict.IN_DOUBT
    assert verdicts == [Verdict.IN_DOUBT, settled, settled]


def test_a_lost_answer_makes_one_link(desk: Desk, stripe: StripeFarEnd) -> None:
    assert desk.look_up(ACTION, ROOF).verdict is LookupVerdict.NOT_THERE
    stripe.faults = [Fault("/payment_links", 0)]
    with pytest.raises(AnswerLost):
        desk.perform(ACTION, ROOF)
    assert desk.look_up(ACTION, ROOF).provider_ref == "plink_1"
    assert desk.look_up(ACTION, ROOF, OTHER).verdict is LookupVerdict.NOT_THERE
    assert desk.perform(ACTION, ROOF).provider_ref == "plink_1"
    assert len(stripe.objects["payment_links"]) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"amount": 4200, "currency": "usd"},
        {"amount": 4200, "description": "x"},
        {"currency": "usd", "description": "x"},
        {"price": "price_1", "amount": 4200},
        {"price": "prod_1"},
        {"price": "price_1", "quantity": 0},
        {"price": "price_1", "quantity": True},
        ROOF | {"amount": 0},
        ROOF | {"amount": "4200"},
        ROOF | {"amount": 2**53 - 1, "currency": "isk"},
        ROOF | {"amount": 150, "currency": "mga"},
        ROOF | {"currency": "us"},
        ROOF | {"description": ""},
        ROOF | {"description": "x" * 501},
        ROOF | {"url": "https://example.org"},
    ],
)
def test_what_is_no_link_is_refused(
    desk: Desk, stripe: StripeFarEnd, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        desk.perform(ACTION, parameters)
    assert stripe.received == []
