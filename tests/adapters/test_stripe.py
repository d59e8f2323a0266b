"""What is particular to Stripe: rotation, refunds, both shapes, currencies, twins, thin events."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.request import InboundRequest
from adapters.contract.signing import sign_stripe
from adapters.stripe.inbound import StripeInbound, StripeInboundSettings

FIXTURES = Path(__file__).parent.parent / "fixtures" / "stripe"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NEW, OLD = "whsec_new_secret_0001", "whsec_old_secret_0002"
ADAPTER = StripeInbound({"secrets": [NEW, OLD]})


def fixture(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def request(body: bytes, header: str | None = None) -> InboundRequest:
    headers = {} if header is None else {"stripe-signature": header}
    return InboundRequest("POST", "https://hub.example.com/webhooks/stripe", headers, body, NOW)


def parsed(envelope: Any) -> Event:
    (event,) = ADAPTER.parse(request(json.dumps(envelope).encode()))
    return event


def with_object(name: str, /, **changes: Any) -> dict[str, Any]:
    envelope = fixture(name)
    envelope["data"]["object"].update(changes)
    return envelope


def envelope_of(native_type: str, native: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "created": int(NOW.timestamp()),
        "livemode": True,
        "type": native_type,
        "data": {"object": native, **data},
    }


def test_each_secret_is_told_by_its_label() -> None:
    stamp = int(NOW.timestamp())
    assert ADAPTER.verify(request(b"{}", sign_stripe(NEW, stamp, b"{}"))) == "secrets[0]"
    assert ADAPTER.verify(request(b"{}", sign_stripe(OLD, stamp, b"{}"))) == "secrets[1]"


def test_two_signatures_while_the_secret_is_rolled() -> None:
    stamp = int(NOW.timestamp())
    unknown, known = (sign_stripe(s, stamp, b"{}") for s in ("whsec_unknown", NEW))
    header = f"{unknown},v1={known.partition('v1=')[2]},v0={'0' * 64}"
    assert ADAPTER.verify(request(b"{}", header)) == "secrets[0]"


def test_the_same_json_written_otherwise_is_refused() -> None:
    body = (FIXTURES / "payment_intent.succeeded.json").read_bytes()
    header = sign_stripe(NEW, int(NOW.timestamp()), body)
    with pytest.raises(NotVerified):
        ADAPTER.verify(request(json.dumps(json.loads(body)).encode(), header))


@pytest.mark.parametrize("secrets", [None, [], [""], [7], "text", [None]])
def test_settings_want_a_list_of_secrets(secrets: Any) -> None:
    with pytest.raises(ValidationError):
        StripeInboundSettings().load({"secrets": secrets})


def test_test_mode_is_not_live() -> None:
    envelope = fixture("payment_intent.succeeded")
    assert parsed(envelope).live is False
    assert parsed(envelope | {"livemode": True}).live is True
    with pytest.raises(Unreadable, match="livemode"):
        parsed(envelope | {"livemode": None})


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


def test_payments_of_one_intent_share_its_id() -> None:
    refund = with_object("charge.refunded.2020-08-27", payment_intent="pi_1")
    dispute = with_object("charge.dispute.created", payment_intent={"id": "pi_1"})
    payment = with_object("payment_intent.succeeded", id="pi_1")
    assert {parsed(e).data["object_id"] for e in (refund, dispute, payment)} == {"pi_1"}


@pytest.mark.parametrize("name", ["2020-08-27", ""])
def test_a_subscription_before_and_after_basil(name: str) -> None:
    suffix = f".{name}" if name else ""
    data = parsed(fixture(f"customer.subscription.created{suffix}")).data
    assert data["status"] == "active"
    assert data["currency"] == "USD"
    assert {"plan", "period_end_at", "amount", "customer_id"} <= set(data)


def test_a_subscription_with_several_items_is_their_sum_and_ends_with_the_first() -> None:
    end = int(NOW.timestamp())
    items = [
        {"price": {"id": "price_1", "unit_amount": 1500}, "quantity": 2, "current_period_end": end},
        {
            "price": {"id": "price_2", "unit_amount": 700},
            "quantity": 1,
            "current_period_end": end + 9,
        },
    ]
    envelope = with_object("customer.subscription.created", items={"data": items})
    data = parsed(envelope).data
    assert (data["amount"], data["plan"]) == (3700, "price_1")
    assert data["period_end_at"] == "2026-11-20T12:00:00Z"
    items[1]["price"] = {"id": "price_tiered", "unit_amount": None}
    assert "amount" not in parsed(envelope).data


def test_the_payer_of_an_intent_before_and_after_the_charges_moved() -> None:
    billing = {"email": "Jane@EXAMPLE.com", "name": "Jane Doe", "phone": "+1 (202) 555-0123"}
    charge = {"id": "ch_1", "billing_details": billing}
    bare = {"receipt_email": None, "shipping": None}
    name = "payment_intent.succeeded"
    for place in ({"charges": {"data": [charge]}}, {"latest_charge": charge}):
        data = parsed(with_object(name, **bare, **place)).data
        assert data["email"] == "Jane@example.com"
        assert (data["name"], data["phone"]) == ("Jane Doe", "+12025550123")


def test_an_invoice_without_metadata_has_its_subscriptions() -> None:
    details = {"metadata": {"plan": "gold"}, "subscription": "sub_1"}
    for place in ({"parent": {"subscription_details": details}}, {"subscription_details": details}):
        envelope = envelope_of("invoice.paid", {"id": "in_1", "metadata": {}, **place})
        assert parsed(envelope).data["metadata"] == {"plan": "gold"}
    own = envelope_of("invoice.paid", {"id": "in_1", "metadata": {"a": "b"}, **place})
    assert parsed(own).data["metadata"] == {"a": "b"}


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


@pytest.mark.parametrize("event_id", [None, "", 7, "e" * 10_000, "evt_1 ", " evt_1", "évt", []])
def test_an_id_that_cannot_be_a_key_is_unreadable(event_id: Any) -> None:
    with pytest.raises(Unreadable, match="id must be"):
        parsed(fixture("payment_intent.succeeded") | {"id": event_id})


def test_ids_are_neither_folded_nor_trimmed() -> None:
    envelope = fixture("payment_intent.succeeded")
    ids = {parsed(envelope | {"id": text}).external_id for text in ("evt_1", "EVT_1")}
    assert ids == {"evt_1", "EVT_1"}


@pytest.mark.parametrize("created", [None, True, "1795000001", 1795000001.5, 1795000001000, 0, -1])
def test_a_time_that_is_no_epoch_second_is_unreadable(created: Any) -> None:
    with pytest.raises(Unreadable, match="created"):
        parsed(fixture("payment_intent.succeeded") | {"created": created})


@pytest.mark.parametrize("missing", ["id", "type", "created", "data"])
def test_an_envelope_without_its_members_is_unreadable(missing: str) -> None:
    envelope = fixture("payment_intent.succeeded")
    del envelope[missing]
    with pytest.raises(Unreadable, match=missing):
        parsed(envelope)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"detail-type": "payment_intent.succeeded", "detail": {}, "id": "x"}, "EventBridge"),
        ({"specversion": "1.0", "data": {}, "id": "x"}, "CloudEvents"),
        ([{"eventType": "x"}], "not list"),
        ({"object": "charge", "id": "ch_1"}, "no Stripe event"),
    ],
)
def test_what_only_looks_like_an_event_says_what_it_is(envelope: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parsed(envelope)


def test_an_unknown_type_is_kept_under_its_own_name() -> None:
    event = parsed(envelope_of("foo.bar", {"id": "foo_1", "amount": "whatever"}))
    assert (event.type, event.native_type) == ("stripe.foo.bar", "foo.bar")
    assert event.data == {"native": {"id": "foo_1", "amount": "whatever"}}
    assert event.fact_key is None


def test_one_purchase_is_one_payment() -> None:
    for native_type in ("charge.succeeded", "invoice.payment_succeeded", "refund.created"):
        assert parsed(envelope_of(native_type, {"id": "x_1"})).type == f"stripe.{native_type}"


def test_a_thin_event_is_incomplete() -> None:
    envelope = fixture("v1.billing.meter.error_report_triggered.thin")
    event = parsed(envelope)
    assert event.incomplete
    assert event.type == "stripe.v1.billing.meter.error_report_triggered"
    assert event.occurred_at == datetime(2022, 2, 15, 0, 27, 45, 330_000, tzinfo=UTC)
    assert event.data == {"native": envelope}
    for created in (1795000001, "2022-02-15T00:27:45", "yesterday", "9999-01-01T00:00:00Z", None):
        with pytest.raises(Unreadable, match="created"):
            parsed(envelope | {"created": created})


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


def test_the_fingerprint_ignores_what_changes_between_deliveries_and_nothing_else() -> None:
    envelope = fixture("payment_intent.succeeded")
    same = dict(reversed(envelope.items())) | {"pending_webhooks": 0}
    assert parsed(envelope).fingerprint == parsed(same).fingerprint
    other = copy.deepcopy(envelope)
    other["data"]["object"]["amount_received"] += 1
    assert parsed(envelope).fingerprint != parsed(other).fingerprint


def test_odd_text_in_the_object_is_kept_for_the_projection_to_mend() -> None:
    event = parsed(with_object("customer.created", name="a\x00\ud800"))
    assert event.data["name"] == "a\x00\ud800"
    assert event.fingerprint


@pytest.mark.parametrize(
    "phone", ["202 555 0123", "00442079460000", "+44 (0)20 7946 0000", "+0", 7]
)
def test_a_phone_that_does_not_say_its_country_is_absent(phone: Any) -> None:
    assert "phone" not in parsed(with_object("customer.created", phone=phone)).data


def test_a_sample_payment_makes_a_contact_possible() -> None:
    sample = ADAPTER.sample("payment_intent.succeeded", "evt_sample_1", NOW, live=True)
    incoming = replace(request(sample.body), headers=sample.headers)
    assert ADAPTER.verify(incoming) == "secrets[0]"
    (event,) = ADAPTER.parse(incoming)
    assert event.live
    assert event.data["email"] == "jane.doe@example.com"
    assert (event.data["phone"], event.data["name"]) == ("+12025550123", "Jane Doe")
    assert ADAPTER.sample_types()[0] == "payment_intent.succeeded"


def test_two_samples_are_two_facts_of_one_customer() -> None:
    for native_type in ADAPTER.sample_types():
        events = [
            parsed(json.loads(ADAPTER.sample(native_type, external_id, NOW, live=False).body))
            for external_id in ("evt_1", "evt_2")
        ]
        natives = [event.data["native"] for event in events]
        assert natives[0]["id"] != natives[1]["id"]
        assert natives[0].get("customer") == natives[1].get("customer")
        assert events[0].fact_key is None or events[0].fact_key != events[1].fact_key


def test_a_sample_moves_with_the_clock_and_only_with_it() -> None:
    name = "customer.subscription.created"
    now, later = (
        parsed(json.loads(ADAPTER.sample(name, "evt_1", at, live=False).body))
        for at in (NOW, NOW + timedelta(days=400))
    )
    assert now.data["native"]["id"] == later.data["native"]["id"]
    assert now.data["period_end_at"] == "2026-12-20T11:59:58Z"
    assert later.data["period_end_at"] == "2028-01-24T11:59:58Z"
