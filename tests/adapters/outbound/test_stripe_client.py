"""Stripe's own library over our transport: what it is looser in than we may be is checked first."""

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe as sdk

from adapters import Answer, Call, InvalidParameters, NotSent, Verdict
from adapters.contract.errors import AnswerLost
from adapters.stripe.api import API_VERSION, Api, Listing, ListTooLong, StripeAccount, Unfinished
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.stripe_calls import DELIVERY, Desk, desk, destination, stripe
from tests.gateways.servers import Far, raw_server
from tests.running import ROOT
from tests.stripe_far_end import KEY, StripeFarEnd

__all__ = ["desk", "stripe"]

Calls = Callable[..., Call]

REFUND = {"charge": "ch_1"}
CUSTOMERS = Listing(lambda v1: v1.customers.list)


@pytest.fixture
def api(far: Far, transport: GuardedTransport) -> Api:
    return Api(StripeAccount(KEY, far.url), transport, NOW)


def says(value: Any, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps(value).encode()


def test_the_version_is_the_one_that_the_library_was_made_for() -> None:
    assert sdk.api_version == API_VERSION


def test_requests_go_through_the_library(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    real = sdk.StripeClient

    def client(*given: Any, **options: Any) -> sdk.StripeClient:
        made.append(options)
        return real(*given, **options)

    monkeypatch.setattr(sdk, "StripeClient", client)
    assert desk.adapter.probe().ok
    assert {options["max_network_retries"] for options in made} == {0}
    assert {options["http_client"].name for options in made} == {"hub"}


def test_money_is_paid_partly_returned_and_billed(desk: Desk, stripe: StripeFarEnd) -> None:
    stripe.add("payment_intents", id="pi_1", amount=10**14 + 1, currency="usd")
    returned = desk.perform("refund", {"payment_intent": "pi_1", "amount": 10**14})
    assert (returned.verdict, returned.provider_ref) == (Verdict.SUCCEEDED, "re_1")
    assert stripe.objects["refunds"][0]["amount"] == 10**14
    bill = {"email": "jane@example.org", "description": "Roof", "amount": 5, "currency": "usd"}
    billed = desk.perform("send_invoice", bill)
    assert (billed.verdict, billed.provider_ref) == (Verdict.SUCCEEDED, "in_1")
    assert stripe.objects["invoices"][0]["sent"] == 1


# What the library's classes break with, or change.
ODD = {
    "unit_amount_decimal": "many",
    "quantity_decimal": "0.00000010",
    "currency_options": 7,
    "lines": {"object": "list", "data": 3},
    "items": [[{"object": "price", "unit_amount_decimal": "1E+2"}]],
    "amount": 10**30,
    "rate": 0.1,
    "none": None,
    "data": {"object": {"object": "event"}},
    "id_": "",
}


@pytest.mark.parametrize("kind", ["price", "shipping_rate", "invoice", "list", "event", 7, None])
def test_an_object_is_the_json_that_came(far: Far, api: Api, kind: Any) -> None:
    told = {"id": "re_1", "object": kind, "deep": json.loads("[" * 300 + "]" * 300), **ODD}
    far.says(says(told))
    assert api.write(api.v1.refunds.create, REFUND, "k") == told
    assert api.read(api.v1.prices.retrieve, "price_1") == told
    assert api.read_path("/v2/core/events/evt_1") == told
    far.says(says({"object": "list", "data": [told], "has_more": False}))
    (listed,) = api.objects(Listing(lambda v1: v1.events.list))
    assert listed == told
    assert not any(isinstance(value, Decimal) for value in listed.values())


def test_a_write_needs_a_key_of_ours(far: Far, api: Api) -> None:
    far.says(says({"id": "re_1"}))
    with pytest.raises(ValueError, match="not the hub's"):
        api.write(api.v1.refunds.create, REFUND, "")
    with pytest.raises(ValueError, match="not the hub's"):  # not as a read either
        api.read(api.v1.refunds.cancel, "re_1")
    assert far.seen == []


def test_half_a_character_is_refused_before_anything_is_sent(far: Far, api: Api) -> None:
    with pytest.raises(InvalidParameters, match="UTF-8"):
        api.write(api.v1.customers.create, {"name": "\ud800"}, "k")
    with pytest.raises(InvalidParameters, match="UTF-8"):
        list(api.objects(Listing(lambda v1: v1.customers.list, {"email": "\ud800"})))
    assert far.seen == []


def test_an_answer_is_never_asked_for_twice(far: Far, api: Api) -> None:
    for status in (409, 429, 500, 503):
        far.says((status, {"stripe-should-retry": "true"}, b"{}"))
        with pytest.raises(Unfinished):
            api.write(api.v1.refunds.create, REFUND, "k")
        assert len(far.seen) == 1


def test_what_only_reads_is_asked_for_again_while_its_failure_may_pass(far: Far, api: Api) -> None:
    busy = (503, {}, b"{}")
    far.says(busy, busy, says({"id": "ch_1"}))
    assert api.read(api.v1.charges.retrieve, "ch_1") == {"id": "ch_1"}
    assert [seen.path for seen in far.seen] == ["/v1/charges/ch_1"] * 3
    far.says(page("cus_2"), busy, page("cus_1", more=False))
    assert [one["id"] for one in api.objects(CUSTOMERS)] == ["cus_2", "cus_1"]
    assert len(far.seen) == 3


def test_a_line_that_breaks_keeps_its_meaning(transport: GuardedTransport) -> None:
    with raw_server(lambda _: None) as url:
        api = Api(StripeAccount(KEY, url), transport, NOW)
        with pytest.raises(AnswerLost):
            api.write(api.v1.refunds.create, REFUND, "k")
        with pytest.raises(NotSent):
            api.read(api.v1.charges.retrieve, "ch_1")
        with pytest.raises(NotSent):
            list(api.objects(CUSTOMERS))
    with pytest.raises(NotSent):
        api.write(api.v1.refunds.create, REFUND, "k")


def page(*ids: str, more: bool = True, **told: Any) -> tuple[int, dict[str, str], bytes]:
    data = [{"id": native_id} for native_id in ids]
    return says({"object": "list", "data": data, "has_more": more, **told})


def test_a_list_goes_on_at_its_own_path_whatever_the_answer_says(far: Far, api: Api) -> None:
    far.says(page("cus_3", url="/v1/elsewhere"), page("cus_2"), page("cus_1", more=False, url=7))
    assert [one["id"] for one in api.objects(CUSTOMERS)] == ["cus_3", "cus_2", "cus_1"]
    assert [seen.path for seen in far.seen] == [
        "/v1/customers?limit=100",
        "/v1/customers?limit=100&starting_after=cus_3",
        "/v1/customers?limit=100&starting_after=cus_2",
    ]


@pytest.mark.parametrize("last", [page(), page("cus_2"), page(""), says({"data": []})])
def test_a_list_that_breaks_off_does_not_look_complete(far: Far, api: Api, last: Any) -> None:
    far.says(page("cus_3"), page("cus_2"), last)
    with pytest.raises(Unfinished, match="not with a list of /v1/customers"):
        list(api.objects(CUSTOMERS))
    assert len(far.seen) == 3


def test_no_more_pages_are_read_than_wanted(far: Far, api: Api) -> None:
    far.says(page("cus_3"), page("cus_2"), page("cus_1"))
    found = api.objects(Listing(CUSTOMERS.of, pages_at_most=2))
    assert [next(found)["id"], next(found)["id"]] == ["cus_3", "cus_2"]
    with pytest.raises(ListTooLong):
        next(found)
    assert len(far.seen) == 2


def test_two_lists_are_read_in_turn(far: Far, api: Api) -> None:
    far.says(page("a2"), page("b2"), page("a1", more=False), page("b1", more=False))
    pairs = zip(api.objects(CUSTOMERS), api.objects(CUSTOMERS), strict=True)
    assert [(a["id"], b["id"]) for a, b in pairs] == [("a2", "b2"), ("a1", "b1")]


LOUD = "jane@example.org whsec_1 " + "x" * 50
ANSWERS = [
    (500, LOUD.encode()),
    (400, json.dumps({"message": LOUD}).encode()),
    (400, json.dumps({"error": [LOUD]}).encode()),
    (400, json.dumps({"error": {"payment_intent": {"receipt_email": LOUD}}}).encode()),
    (400, json.dumps({"error": {"type": "api_error", "message": LOUD}}).encode()),
    (402, b'{"error": {"source": {"object": "price", "unit_amount_decimal": "many"}}}'),
    (200, LOUD.encode()),
    (200, json.dumps([LOUD]).encode()),
    (400, b"\xff" + LOUD.encode()),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_no_error_of_the_library_and_no_answer_gets_out(
    far: Far, api: Api, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    far.says((status, {}, body))
    with caplog.at_level(logging.DEBUG), pytest.raises(Unfinished) as ended:
        api.write(api.v1.customers.create, {"email": LOUD}, "k")
    printed = "".join(traceback.format_exception(ended.value))
    assert "jane" not in printed + caplog.text + repr(ended.value.outcome)
    assert KEY not in printed + caplog.text


@pytest.mark.parametrize("status", [302, 400, 402, 404, 409, 429, 500])
def test_an_answer_that_the_library_cannot_read_keeps_its_headers(
    far: Far, api: Api, status: int
) -> None:
    far.says((status, {"retry-after": "7", "stripe-should-retry": "false"}, b"<html>"))
    with pytest.raises(Unfinished) as ended:
        api.write(api.v1.refunds.create, REFUND, "k")
    assert (ended.value.outcome.status, ended.value.outcome.retry_after_s) == (status, 7)
    assert ended.value.is_stuck is (status == 500)


class Telling:
    """A transport that answers with an error of a class, by status, type and code."""

    def __init__(self, status: int, **error: Any) -> None:
        self.answer = Answer(status, {}, json.dumps({"error": error}).encode())

    def send(self, *_: Any, **__: Any) -> Answer:
        return self.answer


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (402, {"type": "card_error", "code": "card_declined"}, Verdict.PERMANENT),
        (400, {"type": "idempotency_error"}, Verdict.PERMANENT),
        (429, {"type": "invalid_request_error"}, Verdict.NOT_PROCESSED),
        (400, {"code": "rate_limit"}, Verdict.NOT_PROCESSED),
        (401, {"type": "invalid_request_error"}, Verdict.BLOCKED),
        (403, {"type": "invalid_request_error"}, Verdict.BLOCKED),
        (404, {"type": "invalid_request_error"}, Verdict.PERMANENT),
        (409, {"code": "idempotency_key_in_use"}, Verdict.NOT_PROCESSED),
        (408, {"type": "api_error"}, Verdict.NOT_PROCESSED),
        (500, {"type": "card_error"}, Verdict.IN_DOUBT),
    ],
)
def test_each_class_of_error_has_its_verdict(
    status: int, error: dict[str, str], verdict: Verdict
) -> None:
    api = Api(StripeAccount(KEY), Telling(status, **error), NOW)
    with pytest.raises(Unfinished) as ended:
        api.write(api.v1.refunds.create, REFUND, "k")
    assert ended.value.outcome.verdict is verdict
    with pytest.raises(Unfinished) as ended:
        api.read_path("/v2/core/events/evt_1")
    # Where an answer may have had an effect, nothing was asked for that could have one.
    seen = Verdict.NOT_PROCESSED if verdict is Verdict.IN_DOUBT else verdict
    assert ended.value.outcome.verdict is seen


PROGRAM = f"""
import sys
import adapters.registry, adapters.stripe.inbound, adapters.stripe.outbound
from adapters import Answer
from adapters.stripe.api import Api, StripeAccount
from datetime import UTC, datetime
class End:
    def send(self, method, url, *, headers, body=b""):
        print(*headers)
        return Answer(200, {{"request-id": "req_1", "Request-Id": "req_1"}}, b'{{"id": "re_1"}}')
print("stripe" in sys.modules)
api = Api(StripeAccount("{KEY}"), End(), datetime.now(UTC))
for _ in range(2):
    api.write(api.v1.refunds.create, {{}}, "{DELIVERY}")
print("stripe" in sys.modules)
"""


def test_the_library_is_loaded_by_the_first_call_and_leaves_no_trace(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environ = {**os.environ, **home, "STRIPE_LOG": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, env=environ, timeout=60, capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, first, second, after = done.stdout.splitlines()
    assert (before, after) == ("False", "True")
    names = {"authorization", "content-type", "idempotency-key", "stripe-version"}
    assert set(first.split()) == set(second.split()) == names
    assert list(tmp_path.iterdir()) == []


def test_one_destination_is_called_by_many_threads(
    stripe: StripeFarEnd, transport: GuardedTransport, call: Calls
) -> None:
    stripe.add("charges", id="ch_1", amount=10_000, currency="usd")
    one = destination(stripe.url, transport)
    calls = [call("refund", REFUND | {"amount": n}, key=f"d{n}") for n in range(1, 33)]
    with ThreadPoolExecutor(8) as threads:
        verdicts = {outcome.verdict for outcome in threads.map(one.perform, calls)}
    amounts = {
        refund["metadata"]["hub_delivery"]: refund["amount"] for refund in stripe.objects["refunds"]
    }
    assert amounts == {f"d{n}": n for n in range(1, 33)}
    assert verdicts == {Verdict.SUCCEEDED}
