"""Thin Stripe events: what is to be fetched, and what is made of it."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.stripe.outbound import StripeOutbound
from tests.adapters.stripe_events import ADAPTER, THIN, fixture, parsed

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
names = st.sampled_from("id amount amount_paid currency customer metadata email items data".split())
objects = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner), max_leaves=12
)


def test_a_thin_event_is_incomplete() -> None:
    envelope = fixture(THIN)
    event = parsed(envelope)
    assert event.incomplete
    assert event.type == "stripe.v1.billing.meter.error_report_triggered"
    assert event.occurred_at == datetime(2022, 2, 15, 0, 27, 45, 330_000, tzinfo=UTC)
    assert event.data == {"native": envelope, "account": "acct_123"}
    for created in (1795000001, "2022-02-15T00:27:45", "yesterday", "9999-01-01T00:00:00Z", None):
        with pytest.raises(Unreadable, match="created"):
            parsed(envelope | {"created": created})


def test_a_thin_event_says_what_is_to_be_fetched_and_in_whose_context() -> None:
    event = parsed(fixture(THIN))
    assert event.fetch == {"event_id": "evt_234", "context": "acct_123"}
    assert event.data["account"] == "acct_123"
    for context in (None, "", 7):
        alone = parsed(fixture(THIN) | {"context": context})
        assert alone.fetch == {"event_id": "evt_234"}
        assert "account" not in alone.data
    inner = parsed(fixture(THIN) | {"context": "org_1/acct_2"})
    assert inner.fetch == {"event_id": "evt_234", "context": "org_1/acct_2"}


def test_what_it_fetches_is_what_the_account_s_action_takes() -> None:
    fetch = StripeOutbound.actions["fetch"]
    assert fetch.internal
    assert fetch.parameters().validate(parsed(fixture(THIN)).fetch or {}) == {}


def test_a_fetched_event_without_a_canonical_type_keeps_event_and_object() -> None:
    event = parsed(fixture(THIN))
    fetched = fixture(THIN) | {"data": {"reason": {"error_count": 1}}}
    whole = ADAPTER.complete(event, {"event": fetched, "object": {"id": "mtr_123"}})
    assert not whole.incomplete
    assert whole.data["native"]["related_object"] == {"id": "mtr_123"}
    assert whole.data["native"]["data"] == {"reason": {"error_count": 1}}
    assert whole.data["account"] == "acct_123"
    same = ("type", "native_type", "external_id", "occurred_at", "live", "fact_key", "fetch")
    assert all(getattr(whole, name) == getattr(event, name) for name in same)
    gone = ADAPTER.complete(event, {"event": fetched, "object": None})
    assert gone.data["native"] == fetched


def thin(native_type: str) -> dict[str, Any]:
    return fixture(THIN) | {"type": native_type}


def test_a_thin_customer_is_read_as_a_customer() -> None:
    event = parsed(thin("v1.customer.created"))
    assert (event.type, event.incomplete) == ("customer.created", True)
    customer = fixture("customer.created")["data"]["object"]
    whole = ADAPTER.complete(event, {"event": thin("v1.customer.created"), "object": customer})
    snapshot = parsed(fixture("customer.created"))
    assert whole.data == {**snapshot.data, "account": "acct_123"}
    assert whole.fact_key is None


def test_a_thin_refund_does_not_pretend_to_know_its_step() -> None:
    event = parsed(thin("v1.charge.refunded"))
    charge = fixture("charge.refunded.2020-08-27")["data"]["object"]
    del charge["refunds"]
    whole = ADAPTER.complete(event, {"event": thin("v1.charge.refunded"), "object": charge})
    assert whole.type == "payment.refunded"
    assert "amount" not in whole.data
    assert whole.data["object_id"] == charge["id"]


@pytest.mark.parametrize(
    "found",
    [{}, {"event": None}, {"event": []}, {"event": {"id": "evt_other"}}, {"object": {"id": "x"}}],
)
def test_another_event_than_the_one_asked_for_is_unreadable(found: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="to be fetched"):
        ADAPTER.complete(parsed(fixture(THIN)), found)


@pytest.mark.parametrize("native_type", ["v1.customer.created", "v1.invoice.paid", "v2.x.y"])
@given(native=objects)
def test_whatever_object_comes_the_event_is_whole_or_unreadable(
    native_type: str, native: Any
) -> None:
    event = parsed(thin(native_type))
    with suppress(Unreadable):
        assert not ADAPTER.complete(
            event, {"event": {"id": "evt_234"}, "object": native}
        ).incomplete
