"""Requests to Stripe equal, byte for byte, those of its own library."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe as sdk
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode  # pyright: ignore

from adapters import Answer, Call, Transport
from adapters.stripe.api import API_VERSION, encode
from adapters.stripe.outbound import StripeOutbound
from tests.adapters.outbound.stripe_calls import DELIVERY, SENT_AT

Calls = Callable[..., Call]

KEY = "sk_test_sdk_00000001"
COMPARED = {
    "authorization", "content-type", "idempotency-key", "stripe-account", "stripe-context",
    "stripe-version",
}  # fmt: skip
SAID: Mapping[str, Any] = {"id": "in_1", "object": "list", "data": [], "has_more": False}


class Taken:
    """Both ends' requests, as (method, url, headers, body)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.said: dict[str, Any] = dict(SAID)

    def take(self, method: str, url: str, headers: Mapping[str, str], body: str) -> bytes:
        kept = {name.lower(): text for name, text in headers.items() if name.lower() in COMPARED}
        if method.upper() == "GET":  # the library sends the type of a body that is not there
            kept.pop("content-type", None)
        self.requests.append((method.upper(), url, kept, body))
        return json.dumps(self.said).encode()


class OurEnd(Taken):
    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        return Answer(200, {}, self.take(method, url, headers, body.decode()))


class TheirEnd(Taken, sdk.HTTPClient):
    name = "recording"

    def __init__(self) -> None:
        sdk.HTTPClient.__init__(self)
        Taken.__init__(self)

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        return self.take(method, url, headers, post_data or "").decode(), 200, {}


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "enable_telemetry", False)


@pytest.fixture
def theirs() -> TheirEnd:
    return TheirEnd()


@pytest.fixture
def client(theirs: TheirEnd) -> sdk.StripeClient:
    return sdk.StripeClient(KEY, stripe_account="acct_1", http_client=theirs)


@pytest.fixture
def ours() -> OurEnd:
    return OurEnd()


@pytest.fixture
def adapter(ours: OurEnd) -> StripeOutbound:
    transport: Transport = ours
    return StripeOutbound({"api_key": KEY, "account": "acct_1"}, transport)


def key(step: str = "") -> sdk.RequestOptions:
    return {"idempotency_key": DELIVERY + step}


MARK = {"hub_delivery": DELIVERY}


def test_the_version_is_the_one_that_the_library_was_made_for() -> None:
    assert sdk.api_version == API_VERSION


def test_a_refund(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    adapter.perform(call("refund", {"charge": "ch_1", "reason": "duplicate"}, key=DELIVERY))
    wanted: Any = {"charge": "ch_1", "metadata": MARK, "reason": "duplicate"}
    client.v1.refunds.create(wanted, key())
    assert ours.requests == theirs.requests


def test_a_payment_link(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    given = {"amount": 4200, "currency": "EUR", "description": "Dach & Fach [1]", "quantity": 2,
             "metadata": {"ü": "a b"}}  # fmt: skip
    adapter.perform(call("create_payment_link", given, key=DELIVERY))
    thing = {"name": "Dach & Fach [1]"}
    price = {"currency": "eur", "product_data": thing, "unit_amount": 4200}
    wanted: Any = {
        "line_items": [{"price_data": price, "quantity": 2}],
        "metadata": {"ü": "a b"} | MARK,
    }
    client.v1.payment_links.create(wanted, key())
    assert ours.requests == theirs.requests


def test_a_customer(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    email = "jane+x@example.org"
    adapter.perform(call("upsert_customer", {"email": email, "name": "Jané"}, key=DELIVERY))
    client.v1.customers.list({"email": email, "limit": 100})
    wanted: Any = {"email": email, "name": "Jané", "metadata": MARK}
    client.v1.customers.create(wanted, {"idempotency_key": ours.requests[1][2]["idempotency-key"]})
    assert ours.requests[:2] == theirs.requests
    client.v1.customers.update("in_1", {"name": "Jané"}, key(".update"))
    assert ours.requests == theirs.requests


def test_an_invoice_in_its_steps(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    given = {"customer": "cus_1", "items": [
        {"description": "Roof", "amount": 5, "currency": "usd"},
        {"description": "Tiles", "amount": 7, "currency": "usd", "quantity": 3},
    ]}  # fmt: skip
    adapter.perform(call("send_invoice", given, key=DELIVERY))
    draft: Any = {
        "customer": "cus_1", "collection_method": "send_invoice", "days_until_due": 30,
        "currency": "usd", "auto_advance": False, "pending_invoice_items_behavior": "exclude",
        "metadata": MARK,
    }  # fmt: skip
    client.v1.invoices.create(draft, key(".invoice"))
    line: Any = {"customer": "cus_1", "currency": "usd"}
    client.v1.invoice_items.create(
        line | {"description": "Roof", "amount": 5, "invoice": "in_1",
                "metadata": {"hub_item": "1"} | MARK}, key(".item1"),
    )  # fmt: skip
    client.v1.invoice_items.create(
        line | {"description": "Tiles", "unit_amount_decimal": Decimal(7), "quantity": 3,
                "invoice": "in_1", "metadata": {"hub_item": "2"} | MARK}, key(".item2"),
    )  # fmt: skip
    client.v1.invoices.finalize_invoice("in_1", {"auto_advance": False}, key(".finalize"))
    client.v1.invoices.send_invoice("in_1", {}, key(".send"))
    assert ours.requests == theirs.requests


def test_the_lists_that_look_ups_read(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    adapter.look_up(call("refund", {"payment_intent": "pi_1"}), SENT_AT)
    client.v1.refunds.list({"payment_intent": "pi_1", "limit": 100})
    adapter.look_up(call("create_payment_link", {"price": "price_1"}), SENT_AT)
    client.v1.payment_links.list({"limit": 100})
    given = {"customer": "cus_1", "description": "x", "amount": 5, "currency": "usd"}
    adapter.look_up(call("send_invoice", given), SENT_AT)
    since = int(SENT_AT.timestamp()) - 600
    client.v1.invoices.list({"created": {"gte": since}, "limit": 25})
    assert ours.requests == theirs.requests


def test_a_thin_event(
    adapter: StripeOutbound, ours: OurEnd, client: sdk.StripeClient, theirs: TheirEnd, call: Calls
) -> None:
    adapter.perform(call("fetch", {"event_id": "evt_1", "context": "acct_2"}))
    plain = sdk.StripeClient(KEY, http_client=theirs)
    plain.v2.core.events.retrieve("evt_1", {}, {"stripe_context": "acct_2"})
    assert ours.requests == theirs.requests


texts = st.integers() | st.text(st.characters(codec="utf-8"), max_size=8)
names = st.text("abc_[]é ", min_size=1, max_size=4)
# Not tried: None and booleans as such in a list, which the library writes as Python does.
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | texts,
    lambda inner: (
        st.dictionaries(names, inner, max_size=3)
        | st.lists(texts | st.dictionaries(names, inner, max_size=3), max_size=3)
    ),
    max_leaves=10,
)


@given(parameters=st.dictionaries(st.text("abc_", min_size=1, max_size=4), values, max_size=4))
def test_any_parameters_are_encoded_as_the_library_does(parameters: dict[str, Any]) -> None:
    theirs = [(name, str(value)) for name, value in _api_encode(parameters)]
    ours = parse_qsl(encode(parameters), keep_blank_values=True)
    assert ours == theirs
