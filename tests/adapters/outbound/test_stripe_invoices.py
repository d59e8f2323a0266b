"""stripe.send_invoice: four steps that run again from the start and send one invoice."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from adapters import InvalidParameters, LookupVerdict, NotSent, Verdict
from adapters.contract.errors import AnswerLost
from adapters.stripe.outbound import StripeOutbound
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, desk, stripe
from tests.stripe_far_end import NOW_S, Fault, StripeFarEnd

__all__ = ["desk", "stripe"]

ACTION = "send_invoice"
ROOF = {"description": "Roof", "amount": 120_000, "currency": "USD"}
SINGLE = {"customer": "cus_1", **ROOF}
TILES = {"description": "Tiles", "amount": 250, "currency": "USD", "quantity": 40}
SEVERAL = {"customer": "cus_1", "items": [ROOF, TILES], "days_until_due": 14}
STEPS = ["/invoices", "/invoiceitems", "/finalize", "/send"]


@pytest.fixture(autouse=True)
def customer(stripe: StripeFarEnd) -> dict[str, Any]:
    return stripe.add("customers", id="cus_1", email="jane@example.org")


def sent(stripe: StripeFarEnd) -> list[int]:
    return [invoice.get("sent", 0) for invoice in stripe.objects["invoices"]]


def test_the_four_steps_and_their_keys(desk: Desk, stripe: StripeFarEnd) -> None:
    outcome = desk.perform(ACTION, SEVERAL | {"metadata": {"job": "7"}})
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "in_1")
    posts = stripe.posts()
    assert [(post.path, post.headers["idempotency-key"]) for post in posts] == [
        ("/v1/invoices", f"{DELIVERY}.invoice"),
        ("/v1/invoiceitems", f"{DELIVERY}.item1"),
        ("/v1/invoiceitems", f"{DELIVERY}.item2"),
        ("/v1/invoices/in_1/finalize", f"{DELIVERY}.finalize"),
        ("/v1/invoices/in_1/send", f"{DELIVERY}.send"),
    ]
    bodies = [dict(parse_qsl(post.body.decode())) for post in posts]
    assert bodies[0] == {
        "customer": "cus_1",
        "collection_method": "send_invoice",
        "days_until_due": "14",
        "currency": "usd",
        "auto_advance": "false",
        "pending_invoice_items_behavior": "exclude",
        "metadata[job]": "7",
        "metadata[hub_delivery]": DELIVERY,
    }
    line = {"customer": "cus_1", "invoice": "in_1", "currency": "usd"}
    mark = {"metadata[hub_delivery]": DELIVERY}
    assert bodies[1] == line | mark | {
        "description": "Roof", "amount": "120000", "metadata[hub_item]": "1",
    }  # fmt: skip
    assert bodies[2] == line | mark | {
        "description": "Tiles", "unit_amount_decimal": "250", "quantity": "40",
        "metadata[hub_item]": "2",
    }  # fmt: skip
    assert bodies[3:] == [{"auto_advance": "false"}, {}]
    assert sent(stripe) == [1]


def test_an_address_is_looked_for_and_becomes_a_customer_once(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    desk.perform(ACTION, {"email": "jane@example.org", **ROOF})
    assert stripe.objects["invoices"][0]["customer"] == "cus_1"
    for _ in range(2):
        desk.perform(ACTION, {"email": "jim@example.org", **ROOF}, OTHER)
    assert [one["email"] for one in stripe.objects["customers"]][1:] == ["jim@example.org"]
    assert sent(stripe) == [1, 1]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", [0, 500, 503, 429])
@pytest.mark.parametrize("done", [True, False])
def test_a_fault_at_any_step_sends_one_invoice_in_the_end(
    desk: Desk, stripe: StripeFarEnd, step: str, status: int, done: bool
) -> None:
    stripe.faults = [Fault(step, status, done=done)]
    try:
        first = desk.perform(ACTION, SINGLE).verdict
    except AnswerLost:
        first = Verdict.IN_DOUBT
    nothing_yet = step == "/invoices" and status == 429
    assert first is (Verdict.NOT_PROCESSED if nothing_yet else Verdict.IN_DOUBT)
    for _ in range(3):
        last = desk.perform(ACTION, SINGLE)
    stored_failure = status == 500 and not done
    assert last.verdict is (Verdict.IN_DOUBT if stored_failure else Verdict.SUCCEEDED)
    assert sum(sent(stripe)) == (0 if stored_failure else 1)
    assert len(stripe.objects["invoices"]) <= 1
    assert len(stripe.objects["invoiceitems"]) <= 1
    stripe.forget_keys()
    sights = {desk.look_up(ACTION, SINGLE).verdict for _ in range(2)}
    unsettled = LookupVerdict.CANNOT_TELL if step == "/send" else LookupVerdict.NOT_THERE
    assert sights == {unsettled if stored_failure else LookupVerdict.THERE}


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_leaves_nothing_that_bills_and_says_what_is_left(
    desk: Desk, stripe: StripeFarEnd, step: str
) -> None:
    stripe.faults = [Fault(step, 400, body={"error": {"type": "invalid_request_error"}})]
    outcome = desk.perform(ACTION, SINGLE)
    assert outcome.verdict is Verdict.PERMANENT
    assert ("in_1 stays behind unsent" in outcome.message) is (step != "/invoices")
    assert outcome.provider_ref == (None if step == "/invoices" else "in_1")
    assert sum(sent(stripe)) == 0


def test_a_customer_without_an_address_ends_with_a_draft(
    desk: Desk, stripe: StripeFarEnd, customer: dict[str, Any]
) -> None:
    customer["email"] = None
    outcome = desk.perform(ACTION, SINGLE)
    assert outcome.verdict is Verdict.PERMANENT
    assert outcome.message.startswith("the customer cus_1 has no e-mail address")
    assert [one["status"] for one in stripe.objects["invoices"]] == ["draft"]


def test_a_blocked_account_in_the_middle_goes_on_where_it_was(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    stripe.forbidden = {"/v1/invoices/in_1/send"}
    assert desk.perform(ACTION, SINGLE).verdict is Verdict.BLOCKED
    stripe.forbidden.clear()
    assert desk.perform(ACTION, SINGLE).provider_ref == "in_1"
    assert sent(stripe) == [1]


class BreaksAfter:
    """A transport whose network is gone after so many calls."""

    def __init__(self, inner: Any, calls: int) -> None:
        self.inner, self.calls = inner, calls

    def send(self, *args: Any, **kwargs: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise NotSent("the network is gone")
        return self.inner.send(*args, **kwargs)


def test_a_call_that_never_left_is_doubt_once_the_invoice_is_begun(
    desk: Desk, stripe: StripeFarEnd
) -> None:
    whole, settings = desk.adapter, {"api_key": "sk_test_far_end_0001", "base_url": stripe.url}
    for calls, error in ((0, NotSent), (1, AnswerLost), (2, AnswerLost), (3, AnswerLost)):
        desk.adapter = StripeOutbound(settings, BreaksAfter(whole._transport, calls))
        with pytest.raises(error):
            desk.perform(ACTION, SINGLE)
    desk.adapter = whole
    desk.perform(ACTION, SINGLE)
    assert sent(stripe) == [1]


def test_the_look_up_minds_the_time_and_the_list_s_length(desk: Desk, stripe: StripeFarEnd) -> None:
    assert desk.look_up(ACTION, SINGLE).verdict is LookupVerdict.NOT_THERE
    desk.perform(ACTION, SINGLE)
    ours = stripe.objects["invoices"][0]
    seen = desk.look_up(ACTION, SINGLE)
    assert (seen.verdict, seen.provider_ref, seen.status) == (LookupVerdict.THERE, "in_1", "open")
    ours["created"] = NOW_S - 3600
    assert desk.look_up(ACTION, SINGLE).verdict is LookupVerdict.NOT_THERE
    for number in range(501):
        stripe.add("invoices", id=f"in_x{number}")
    assert desk.look_up(ACTION, SINGLE).verdict is LookupVerdict.CANNOT_TELL


@pytest.mark.parametrize(
    "parameters",
    [
        ROOF,
        {"customer": "cus_1"},
        {"customer": "cus_1", "email": "jane@example.org", **ROOF},
        {"customer": "jane", **ROOF},
        {"email": "jane", **ROOF},
        {"customer": "cus_1", "items": []},
        {"customer": "cus_1", "items": [ROOF] * 51},
        {"customer": "cus_1", "items": [ROOF], "amount": 5},
        {"customer": "cus_1", "items": [ROOF, ROOF | {"currency": "eur"}]},
        {"customer": "cus_1", "items": [{"amount": 5, "currency": "usd"}]},
        {"customer": "cus_1", "items": [ROOF | {"quantity": 0}]},
        {"customer": "cus_1", "items": [ROOF | {"quantity": 1.5}]},
        {"customer": "cus_1", "items": [ROOF | {"description": "\ud800"}]},
        {"customer": "cus_1", "items": [ROOF, {**TILES, "amount": 150, "currency": "mga"}]},
        {"customer": "cus_1", "amount": 5, "currency": "usd"},
        SINGLE | {"amount": 150, "currency": "mga"},
        SINGLE | {"amount": 0},
        SINGLE | {"amount": "5"},
        SINGLE | {"amount": True},
        SINGLE | {"currency": "dollars"},
        SINGLE | {"description": " "},
        SINGLE | {"days_until_due": -1},
        SINGLE | {"days_until_due": "14"},
    ],
)
def test_what_is_no_invoice_is_refused(
    desk: Desk, stripe: StripeFarEnd, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        desk.perform(ACTION, parameters)
    assert stripe.received == []
