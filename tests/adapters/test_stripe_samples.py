"""Samples of Stripe webhooks: signed, distinct, moving with the clock alone."""

import json
from datetime import timedelta

from tests.adapters.posting import NOW, URL, posted_sample
from tests.adapters.stripe_events import ADAPTER, parsed


def test_a_sample_payment_makes_a_contact_possible() -> None:
    sample = ADAPTER.sample("payment_intent.succeeded", "evt_sample_1", NOW, live=True, url=URL)
    incoming = posted_sample(sample)
    assert ADAPTER.verify(incoming) == "secrets[0]"
    (event,) = ADAPTER.parse(incoming)
    assert event.live
    assert event.data["email"] == "jane.doe@example.com"
    assert (event.data["phone"], event.data["name"]) == ("+12025550123", "Jane Doe")
    assert ADAPTER.sample_types()[0] == "payment_intent.succeeded"


def test_two_samples_are_two_facts_of_one_customer() -> None:
    for native_type in ADAPTER.sample_types():
        events = [
            parsed(
                json.loads(ADAPTER.sample(native_type, external_id, NOW, live=False, url=URL).body)
            )
            for external_id in ("evt_1", "evt_2")
        ]
        natives = [event.data["native"] for event in events]
        assert natives[0]["id"] != natives[1]["id"]
        assert natives[0].get("customer") == natives[1].get("customer")
        assert events[0].fact_key is None or events[0].fact_key != events[1].fact_key


def test_a_sample_moves_with_the_clock_and_only_with_it() -> None:
    name = "customer.subscription.created"
    now, later = (
        parsed(json.loads(ADAPTER.sample(name, "evt_1", at, live=False, url=URL).body))
        for at in (NOW, NOW + timedelta(days=400))
    )
    assert now.data["native"]["id"] == later.data["native"]["id"]
    assert now.data["period_end_at"] == "2026-12-20T11:59:58Z"
    assert later.data["period_end_at"] == "2028-01-24T11:59:58Z"
