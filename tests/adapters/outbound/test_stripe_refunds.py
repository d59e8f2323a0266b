"""stripe.refund: the money goes back once, whatever becomes of the answer."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters import InvalidParameters, LookupVerdict, NotSent, Verdict
from adapters.contract.errors import AnswerLost
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, desk, stripe
from tests.stripe_far_end import Fault, StripeFarEnd

__all__ = ["desk", "stripe"]

ALL = {"payment_intent": "pi_1"}
PART = ALL | {"amount": 300}


@pytest.fixture(autouse=True)
def payment(stripe: StripeFarEnd) -> dict[str, Any]:
    stripe.add("charges", id="ch_1", amount=1000, currency="usd")
    return stripe.add("payment_intents", id="pi_1", amount=1000, currency="usd")


def returned(stripe: StripeFarEnd) -> list[int]:
    return [refund["amount"] for refund in stripe.objects["refunds"]]


def test_a_refund_bears_our_mark_and_our_key(desk: Desk, stripe: StripeFarEnd) -> None:
    reason = {"reason": "requested_by_customer", "metadata": {"order": 7}}
    outcome = desk.perform("refund", PART | reason)
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "re_1")
    (post,) = stripe.posts()
    assert post.headers["idempotency-key"] == DELIVERY
    assert dict(parse_qsl(post.body.decode())) == {
        "payment_intent": "pi_1",
        "metadata[order]": "7",
        "metadata[hub_delivery]": DELIVERY,
        "amount": "300",
        "reason": "requested_by_customer",
    }


def test_all_that_is_left_needs_no_amount_and_no_look_at_the_payment(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    desk.perform("refund", {"charge": "ch_1"})
    assert returned(stripe) == [1000]
    assert len(stripe.received) == 1


@pytest.mark.parametrize(
    ("currency", "amount", "sent"),
    [("usd", 300, 300), ("jpy", 300, 300), ("isk", 3, 300), ("ugx", 3, 300), ("mga", 300, 3)],
)
@pytest.mark.parametrize("name", ["payment_intent", "charge"])
def test_the_amount_is_in_the_unit_of_the_payment(
    desk: Desk, stripe: StripeFarEnd, currency: str, amount: int, sent: int, name: str
) -> None:
    payment = stripe.objects[f"{name}s"][0]
    payment["currency"] = currency
    desk.perform("refund", {name: payment["id"], "amount": amount})
    assert returned(stripe) == [sent]


def test_two_deliveries_are_two_partial_refunds_and_one_is_one(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    for key in (DELIVERY, OTHER, DELIVERY, OTHER):
        assert desk.perform("refund", PART, key).verdict is Verdict.SUCCEEDED
    assert returned(stripe) == [300, 300]


@pytest.mark.parametrize("parameters", [ALL, PART])
def test_a_lost_answer_pays_once_within_the_day_and_after_it(
    desk: Desk, stripe: StripeFarEnd, parameters: dict[str, Any]
) -> None:
    stripe.faults = [Fault("/refunds", 0)]
    with pytest.raises(AnswerLost):
        desk.perform("refund", parameters)
    assert desk.perform("refund", parameters).provider_ref == "re_1"
    stripe.forget_keys()
    seen = desk.look_up("refund", parameters)
    assert (seen.verdict, seen.provider_ref, seen.status) == (
        LookupVerdict.THERE,
        "re_1",
        "succeeded",
    )
    assert len(returned(stripe)) == 1


def test_already_refunded_by_us_is_success_and_by_others_a_refusal(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    desk.perform("refund", ALL)
    stripe.forget_keys()
    assert desk.perform("refund", ALL).provider_ref == "re_1"
    outcome = desk.perform("refund", ALL, OTHER)
    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "charge_already_refunded")
    assert returned(stripe) == [1000]


def test_more_than_is_left_is_ours_when_ours_is_there(desk: Desk, stripe: StripeFarEnd) -> None:
    most = ALL | {"amount": 700}
    desk.perform("refund", most)
    stripe.forget_keys()
    assert desk.perform("refund", most).provider_ref == "re_1"
    assert desk.perform("refund", most, OTHER).verdict is Verdict.PERMANENT
    assert returned(stripe) == [700]


def test_a_refusal_whose_cause_cannot_be_seen_is_tried_again(
    desk: Desk, stripe: StripeFarEnd, payment: dict[str, Any]
) -> None:
    payment["amount_refunded"] = 1000
    stripe.silent = {"/v1/refunds"}
    with pytest.raises(NotSent):
        desk.perform("refund", ALL)
    stripe.silent.clear()
    assert desk.perform("refund", ALL).verdict is Verdict.PERMANENT


@pytest.mark.parametrize("done", [True, False])
def test_a_stored_500_is_read_back_and_never_sent_under_another_key(
    desk: Desk, stripe: StripeFarEnd, done: bool
) -> None:
    stripe.faults = [Fault("/refunds", done=done)]
    assert desk.perform("refund", PART).verdict is Verdict.IN_DOUBT
    assert len(stripe.received) == 2
    second, third = desk.perform("refund", PART), desk.perform("refund", PART)
    expected = Verdict.SUCCEEDED if done else Verdict.IN_DOUBT
    assert {second.verdict, third.verdict} == {expected}
    assert returned(stripe) == ([300] if done else [])
    assert {post.headers["idempotency-key"] for post in stripe.posts()} == {DELIVERY}


def test_a_500_that_is_said_to_stay_is_read_back_at_once(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.faults = [Fault("/refunds", done=True, headers={"Stripe-Should-Retry": "false"})]
    assert desk.perform("refund", PART).provider_ref == "re_1"


def test_what_cannot_be_read_back_stays_in_doubt(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.faults = [Fault("/refunds", headers={"Stripe-Should-Retry": "false"})]
    stripe.silent = {"/v1/refunds"}
    assert desk.perform("refund", PART).verdict is Verdict.IN_DOUBT


def test_pending_is_good_and_failed_is_not(
    desk: Desk, stripe: StripeFarEnd, payment: dict[str, Any]
) -> None:
    payment["refund_status"] = "pending"
    assert desk.perform("refund", PART).verdict is Verdict.SUCCEEDED
    payment["refund_status"] = "failed"
    outcome = desk.perform("refund", PART, OTHER)
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.PERMANENT, "re_2")
    assert "re_2 is failed" in outcome.message


def test_what_is_not_there_is_not_there(desk: Desk, stripe: StripeFarEnd) -> None:
    desk.perform("refund", PART, OTHER)
    assert desk.look_up("refund", PART).verdict is LookupVerdict.NOT_THERE
    outcome = desk.perform("refund", {"payment_intent": "pi_none", "amount": 1})
    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "resource_missing")


def test_a_long_list_is_read_to_its_end_or_said_to_be_too_long(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    desk.perform("refund", PART)
    for number in range(1999):
        stripe.add("refunds", id=f"re_x{number}", payment_intent="pi_1")
    assert desk.look_up("refund", PART).verdict is LookupVerdict.THERE
    stripe.add("refunds", id="re_one_more", payment_intent="pi_1")
    assert desk.look_up("refund", PART).verdict is LookupVerdict.CANNOT_TELL


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"payment_intent": "pi_1", "charge": "ch_1"},
        {"payment_intent": "ch_1"},
        {"payment_intent": "pi_1/../../v1/charges"},
        {"payment_intent": "pi_1\n"},
        {"charge": "pi_1"},
        {"payment_intent": None},
        *({"payment_intent": "pi_1", "amount": a} for a in (0, -1, "300", 1.5, True, None, 2**53)),
        {"payment_intent": "pi_1", "reason": "because"},
    ],
)
def test_what_is_no_refund_is_refused(
    desk: Desk, stripe: StripeFarEnd, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        desk.perform("refund", parameters)
    assert stripe.received == []


def test_a_part_of_a_unit_is_refused_before_anything_is_sent(
    desk: Desk, stripe: StripeFarEnd, payment: dict[str, Any]
) -> None:
    payment["currency"] = "mga"
    with pytest.raises(InvalidParameters, match="multiple of 100"):
        desk.perform("refund", ALL | {"amount": 150})
    assert stripe.posts() == []
