"""Signatures and envelopes of Stripe webhooks."""

import copy
import json
from typing import Any

import pytest
from marshmallow import ValidationError

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.request import InboundRequest
from adapters.contract.signatures.standard_webhooks import sign_stripe
from adapters.stripe.inbound import StripeInboundSettings
from tests.adapters.posting import NOW_S, posted
from tests.adapters.stripe_events import (
    ADAPTER,
    NEW,
    OLD,
    body_of,
    envelope_of,
    fixture,
    parsed,
    with_object,
)


def signed(body: bytes, header: str) -> InboundRequest:
    return posted(body, {"stripe-signature": header})


def test_each_secret_is_told_by_its_label() -> None:
    stamp = NOW_S
    assert ADAPTER.verify(signed(b"{}", sign_stripe(NEW, stamp, b"{}"))) == "secrets[0]"
    assert ADAPTER.verify(signed(b"{}", sign_stripe(OLD, stamp, b"{}"))) == "secrets[1]"


def test_two_signatures_while_the_secret_is_rolled() -> None:
    stamp = NOW_S
    unknown, known = (sign_stripe(s, stamp, b"{}") for s in ("whsec_unknown", NEW))
    header = f"{unknown},v1={known.partition('v1=')[2]},v0={'0' * 64}"
    assert ADAPTER.verify(signed(b"{}", header)) == "secrets[0]"


def test_the_same_json_written_otherwise_is_refused() -> None:
    body = body_of("payment_intent.succeeded")
    header = sign_stripe(NEW, NOW_S, body)
    with pytest.raises(NotVerified):
        ADAPTER.verify(signed(json.dumps(json.loads(body)).encode(), header))


@pytest.mark.parametrize("secrets", [None, [], [""], [7], "text", [None]])
def test_settings_want_a_list_of_secrets(secrets: Any) -> None:
    with pytest.raises(ValidationError):
        StripeInboundSettings().load({"secrets": secrets})


def test_an_event_that_a_call_of_the_hub_caused_names_its_delivery() -> None:
    """A form that makes a customer, and a route that mails new customers, would have no limit."""
    ours = "01937f3a-5b2c-7d4e-8f60-718293a4b5c6"
    envelope = fixture("customer.created")
    stamped = copy.deepcopy(envelope)
    stamped["data"]["object"]["metadata"] = {"hub_delivery": f"{ours}.2"}
    thin = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.customer.updated",
        "created": "2026-11-20T12:00:00.000Z",
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": ours}},
    }

    def cause(told: dict[str, Any], key: object = None) -> object:
        request = {"request": {"id": "req_1", "idempotency_key": key}} if key else {}
        return parsed(told | request).data.get("delivery_id")

    for key in (ours, f"{ours}.2", f"{ours}.update", f"{ours}.2.send"):
        assert cause(envelope, key) == ours
    assert cause(stamped) == cause(thin) == ours
    assert cause(stamped | {"type": "customer.updated"}) is None
    for key in ("57ddc22f-1d42-446f-8f91-85cf0d32084a", f"x{ours}", f"{ours}0", 7, [ours], None):
        assert cause(envelope, key) is None


def test_test_mode_is_not_live() -> None:
    envelope = fixture("payment_intent.succeeded")
    assert parsed(envelope).live is False
    assert parsed(envelope | {"livemode": True}).live is True
    with pytest.raises(Unreadable, match="livemode"):
        parsed(envelope | {"livemode": None})


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
