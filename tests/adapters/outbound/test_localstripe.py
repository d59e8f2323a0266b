"""The stripe destination before a server that others wrote: localstripe, run as a process.

It takes our forms, keeps metadata, answers lists and signs webhooks. It ignores Idempotency-Key and
has neither payment links nor invoices that are sent: what protects us there is shown elsewhere.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from adapters import InboundRequest, LookupVerdict, Verdict
from adapters.contract.errors import NotVerified
from adapters.stripe.inbound import StripeInbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.stripe_calls import DELIVERY, OTHER, Desk, desk, destination
from tests.gateways.servers import Far, Seen
from tests.stripe_far_end import KEY

__all__ = ["desk"]

PROGRAM = Path(sys.executable).with_name("localstripe")
SECRET = "whsec_localstripe_0001"
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2050, "cvc": "123"}
PATIENCE_S = 20


def within(seconds: float, happened: Callable[[], Any]) -> Any:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


class LocalStripe:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, **parameters: Any) -> Any:
        headers = {"authorization": f"Bearer {KEY}"}
        answer = requests.post(self.url + path, json=parameters, headers=headers, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def is_up(self) -> bool:
        try:
            return requests.get(self.url + "/v1/customers", timeout=1).status_code == 401
        except requests.RequestException:
            return False


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("localstripe") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, "--port", str(port), "--from-scratch"],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    server = LocalStripe(f"http://127.0.0.1:{port}")
    try:
        within(PATIENCE_S, server.is_up)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def paid(stripe: LocalStripe) -> Any:
    method = stripe.post("/v1/payment_methods", type="card", card=CARD)
    return stripe.post(
        "/v1/payment_intents",
        amount=1000,
        currency="usd",
        payment_method=method["id"],
        confirm=True,
    )


def test_it_knows_a_key_from_no_key(
    desk: Desk, stripe: LocalStripe, transport: GuardedTransport
) -> None:
    assert desk.adapter.probe().ok
    nobody = destination(stripe.url, transport, api_key="rk_test_nobody_0001")
    assert "401" in nobody.probe().message


def test_a_customer_is_made_found_and_updated(desk: Desk) -> None:
    jane = {"email": "jané+1@example.org", "name": "Jané [1] & Co", "metadata": {"a b": "ü"}}
    made = desk.perform("upsert_customer", jane)
    assert made.verdict is Verdict.SUCCEEDED
    assert made.provider_ref
    assert desk.look_up("upsert_customer", jane).provider_ref == made.provider_ref
    again = desk.perform("upsert_customer", jane | {"phone": "+12025550123"}, OTHER)
    assert again.provider_ref == made.provider_ref
    nobody = desk.look_up("upsert_customer", {"email": "nobody@example.org"})
    assert nobody.verdict is LookupVerdict.NOT_THERE


def test_a_refund_is_made_and_found(desk: Desk, stripe: LocalStripe) -> None:
    payment = {"payment_intent": paid(stripe)["id"], "amount": 300}
    assert desk.look_up("refund", payment).verdict is LookupVerdict.NOT_THERE
    made = desk.perform("refund", payment)
    assert made.verdict is Verdict.SUCCEEDED
    seen = desk.look_up("refund", payment)
    assert (seen.verdict, seen.provider_ref) == (LookupVerdict.THERE, made.provider_ref)
    assert desk.look_up("refund", payment, OTHER).verdict is LookupVerdict.NOT_THERE
    whole = {"charge": paid(stripe)["latest_charge"]["id"]}
    assert desk.perform("refund", whole, OTHER).verdict is Verdict.SUCCEEDED


def test_what_it_does_not_have_is_refused_for_good(desk: Desk) -> None:
    for action, given in (
        ("refund", {"payment_intent": "pi_none", "amount": 5}),
        ("create_payment_link", {"price": "price_1"}),
    ):
        outcome = desk.perform(action, given, DELIVERY)
        assert (outcome.verdict, outcome.status) == (Verdict.PERMANENT, 404)


def test_its_webhooks_are_ours_to_verify_and_to_read(
    desk: Desk, stripe: LocalStripe, far: Far
) -> None:
    hook = {"url": f"{far.url}/webhooks/stripe", "secret": SECRET}
    stripe.post("/_config/webhooks/hub", **hook, events=["customer.created"])
    jill = {"email": "jill@example.org", "name": "Jill", "phone": "+12025550124"}
    made = desk.perform("upsert_customer", jill, OTHER)

    def arrived() -> Seen | None:
        return next((one for one in far.seen if b"jill@example.org" in one.body), None)

    seen = within(PATIENCE_S, arrived)
    request = InboundRequest(seen.method, hook["url"], seen.headers, seen.body, datetime.now(UTC))
    assert StripeInbound({"secrets": ["whsec_other_0001", SECRET]}).verify(request) == "secrets[1]"
    with pytest.raises(NotVerified):
        StripeInbound({"secrets": ["whsec_other_0001"]}).verify(request)
    (event,) = StripeInbound({"secrets": [SECRET]}).parse(request)
    assert (event.type, event.live) == ("customer.created", False)
    told = {name: event.data[name] for name in ("customer_id", "email", "name", "phone")}
    assert told == {"customer_id": made.provider_ref, **jill}
    assert event.data["native"]["metadata"] == {"hub_delivery": OTHER}
    assert event.external_id == json.loads(seen.body)["id"]
