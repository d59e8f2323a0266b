"""stripe.upsert_customer: one customer per address, whoever comes at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters import InvalidParameters, LookupVerdict, Verdict
from adapters.contract.errors import AnswerLost
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, desk, stripe
from tests.far_end import Received
from tests.stripe_far_end import Fault, StripeFarEnd

__all__ = ["desk", "stripe"]

JANE = {"email": "jane@example.org", "name": "Jané Doe", "phone": "+12025550123"}
ACTION = "upsert_customer"


def test_an_unknown_address_becomes_a_customer_with_our_mark(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    outcome = desk.perform(ACTION, JANE | {"metadata": {"plan": "gold", "vip": True, "no": ""}})
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "cus_1")
    assert outcome.message == ""
    (customer,) = stripe.objects["customers"]
    assert {name: customer[name] for name in JANE} == JANE
    assert customer["metadata"] == {"plan": "gold", "vip": "true", "hub_delivery": DELIVERY}


def test_a_known_one_is_updated_by_what_is_not_empty_and_gets_no_mark(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    stripe.add(
        "customers", id="cus_old", email=JANE["email"], name="J", phone="+1", metadata={"a": "b"}
    )
    wanted = {"email": JANE["email"], "name": "Jane", "phone": "", "metadata": {"c": 1, "a": None}}
    assert desk.perform(ACTION, wanted).provider_ref == "cus_old"
    (customer,) = stripe.objects["customers"]
    assert (customer["name"], customer["phone"]) == ("Jane", "+1")
    assert customer["metadata"] == {"a": "b", "c": "1"}
    (update,) = stripe.posts()
    assert dict(parse_qsl(update.body.decode())) == {"name": "Jane", "metadata[c]": "1"}
    assert update.headers["idempotency-key"] == f"{DELIVERY}.update"


def test_what_is_already_so_is_not_written_again(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.add("customers", id="cus_1", **JANE)
    assert desk.perform(ACTION, JANE).provider_ref == "cus_1"
    assert stripe.posts() == []


def test_of_several_the_oldest_is_ours_to_update(desk: Desk, stripe: StripeFarEnd) -> None:
    for number in range(130):
        stripe.add("customers", id=f"cus_{number}", email=JANE["email"])
    assert desk.perform(ACTION, JANE).provider_ref == "cus_0"


def test_an_address_in_capitals_is_found_in_small_letters(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.add("customers", id="cus_1", email="jane@example.org")
    assert desk.perform(ACTION, {"email": " Jane@Example.ORG "}).provider_ref == "cus_1"
    desk.perform(ACTION, {"email": "Jim@Example.ORG"}, OTHER)
    assert stripe.objects["customers"][-1]["email"] == "Jim@example.org"


def test_a_lost_answer_does_not_make_a_second_one(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.faults = [Fault("/customers", 0)]
    with pytest.raises(AnswerLost):
        desk.perform(ACTION, JANE)
    assert desk.look_up(ACTION, JANE).verdict is LookupVerdict.THERE
    assert desk.perform(ACTION, JANE).provider_ref == "cus_1"
    assert len(stripe.objects["customers"]) == 1


@pytest.mark.parametrize("phones", [("+1", "+1"), ("+1", "+2")])
def test_two_deliveries_that_find_nobody_at_once_make_one_customer(
    desk: Desk, stripe: StripeFarEnd, phones: tuple[str, str]
) -> None:
    both_looked = threading.Barrier(2, timeout=5)

    def wait_for_the_other(_: Received) -> None:
        if not stripe.posts():
            both_looked.wait()

    stripe.told = wait_for_the_other
    calls = [
        (JANE | {"phone": phone}, key) for phone, key in zip(phones, (DELIVERY, OTHER), strict=True)
    ]
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(lambda one: desk.perform(ACTION, *one), calls))
    again = [desk.perform(ACTION, *one) for one in calls]
    assert len(stripe.objects["customers"]) == 1
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.SUCCEEDED, Verdict.NOT_PROCESSED}
    assert {outcome.provider_ref for outcome in again} == {"cus_1"}


def test_a_key_that_another_request_holds_is_waited_for(desk: Desk, stripe: StripeFarEnd) -> None:
    inside: list[Any] = []

    def meanwhile(_: Received) -> None:
        if not inside:
            inside.append(None)
            inside.append(desk.perform(ACTION, JANE, OTHER))

    stripe.working = meanwhile
    assert desk.perform(ACTION, JANE).verdict is Verdict.SUCCEEDED
    assert (inside[1].verdict, inside[1].code) == (Verdict.NOT_PROCESSED, "idempotency_key_in_use")
    assert len(stripe.objects["customers"]) == 1


def test_a_customer_deleted_within_the_day_is_made_anew(desk: Desk, stripe: StripeFarEnd) -> None:
    desk.perform(ACTION, JANE)
    stripe.objects["customers"].clear()
    assert desk.perform(ACTION, JANE, OTHER).verdict is Verdict.SUCCEEDED
    assert stripe.objects["customers"][0]["metadata"] == {"hub_delivery": OTHER}
    assert stripe.posts()[-1].headers["idempotency-key"] == f"{OTHER}.customer"


def test_a_stored_500_is_read_back(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.faults = [Fault("/customers", done=True)]
    assert desk.perform(ACTION, JANE).verdict is Verdict.IN_DOUBT
    assert desk.perform(ACTION, JANE).provider_ref == "cus_1"
    stripe.add("customers", id="cus_9", email="jim@example.org")
    stripe.faults = [Fault("/cus_9")]
    for _ in range(2):
        outcome = desk.perform(ACTION, {"email": "jim@example.org", "name": "Jim"}, OTHER)
        assert outcome.verdict is Verdict.IN_DOUBT
    assert (
        desk.look_up(ACTION, {"email": "jim@example.org", "name": "Jim"}).verdict
        is LookupVerdict.NOT_THERE
    )


def test_the_look_up_knows_what_is_there(desk: Desk, stripe: StripeFarEnd) -> None:
    assert desk.look_up(ACTION, JANE).verdict is LookupVerdict.NOT_THERE
    stripe.add("customers", id="cus_1", email=JANE["email"])
    assert desk.look_up(ACTION, JANE).verdict is LookupVerdict.NOT_THERE
    desk.perform(ACTION, JANE)
    seen = desk.look_up(ACTION, JANE)
    assert (seen.verdict, seen.provider_ref) == (LookupVerdict.THERE, "cus_1")
    assert "jane@" not in seen.message


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"email": ""},
        {"email": None},
        {"email": "jane"},
        {"email": "jane@example.org\r\nx"},
        {"email": "j\ud800@example.org"},
        {"email": "jane@example.org", "name": 5},
        {"email": "jane@example.org", "name": "\ud800"},
        {"email": "jane@example.org", "metadata": {"a": []}},
        {"email": "jane@example.org", "metadata": {"a": "\ud800"}},
        {"email": "jane@example.org", "metadata": {"a[b]": "c"}},
        {"email": "jane@example.org", "metadata": {"": "c"}},
        {"email": "jane@example.org", "metadata": {"k" * 41: "c"}},
        {"email": "jane@example.org", "metadata": {"k": "c" * 501}},
        {"email": "jane@example.org", "metadata": {str(n): "c" for n in range(50)}},
        {"email": "jane@example.org", "metadata": {"hub_delivery": "mine"}},
        {"email": "jane@example.org", "nickname": "J"},
    ],
)
def test_what_is_no_customer_is_refused(
    desk: Desk, stripe: StripeFarEnd, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        desk.perform(ACTION, parameters)
    assert stripe.received == []
