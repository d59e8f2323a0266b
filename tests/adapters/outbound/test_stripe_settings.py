"""The stripe destination's settings, its headers, its sandbox."""

from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError

from adapters import Call, Effect, Verdict
from adapters.stripe.api import API_VERSION
from adapters.stripe.outbound import StripeOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.stripe_calls import SENT_AT, destination
from tests.gateways.servers import Far
from tests.stripe_far_end import KEY

Calls = Callable[..., Call]

GOOD: dict[str, dict[str, Any]] = {
    "upsert_customer": {"email": "jane@example.org", "name": "Jane"},
    "create_payment_link": {"price": "price_1"},
    "send_invoice": {
        "email": "jane@example.org", "amount": 5, "currency": "usd", "description": "Roof",
    },
    "refund": {"payment_intent": "pi_1", "amount": 5},
    "fetch": {"event_id": "evt_1"},
}  # fmt: skip


def test_every_action_is_keyed_for_23_hours_and_can_be_looked_up() -> None:
    assert set(GOOD) == set(StripeOutbound.actions)
    for name, action in StripeOutbound.actions.items():
        if name == "fetch":
            assert (action.effect, action.internal) == (Effect.NATURAL, True)
        else:
            assert (action.effect, action.key_life_s) == (Effect.KEYED, 23 * 3600)
            assert action.supports_lookup
            assert not action.internal


@pytest.mark.parametrize("action", sorted(GOOD))
def test_without_a_key_it_plays_in_the_sandbox(call: Calls, action: str) -> None:
    assert StripeOutbound.credentials == StripeOutbound.secrets == ("api_key",)
    sandbox = RecordingTransport(StripeOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    settings = StripeOutbound.settings_schema().load({})
    outcome = StripeOutbound(settings, sandbox).perform(call(action, GOOD[action]))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.provider_ref
    assert sandbox.last is not None
    assert sandbox.last.url.startswith("https://api.stripe.com/v")


@pytest.mark.parametrize("action", sorted(GOOD))
def test_loading_parameters_again_changes_nothing(action: str) -> None:
    schema = StripeOutbound.actions[action].parameters()
    once = schema.load(GOOD[action])
    assert schema.load(once) == once


def test_account_and_version_travel_as_headers(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says((200, {}, b'{"id": "re_1"}'))
    refund = call("refund", {"charge": "ch_1"})
    destination(far.url, transport, account="acct_1", api_version="2024-06-20").perform(refund)
    destination(far.url + "/", transport, account=None).perform(refund)
    first, second = (seen.headers for seen in far.seen)
    assert first["authorization"] == f"Bearer {KEY}"
    assert (first["stripe-account"], first["stripe-version"]) == ("acct_1", "2024-06-20")
    assert second["stripe-version"] == API_VERSION
    assert "stripe-account" not in second
    assert [seen.path for seen in far.seen] == ["/v1/refunds"] * 2


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "pk_test_0000000000"},
        {"api_key": "whsec_0000000000"},
        {"api_key": "sk_test_0000\r\nx: y"},
        {"api_key": 7},
        {"account": "cus_1"},
        {"account": "acct_1\r\n"},
        {"api_version": "latest"},
        {"api_version": None},
        {"key": "sk_test_0000000000"},
    ],
)
def test_settings_that_cannot_work_are_faults(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StripeOutbound.settings_schema().load(settings)


@pytest.mark.parametrize("key", ["", None, "  ", "sk_live_0000000000", " rk_test_0000000000\n"])
def test_settings_that_can_work_are_not(key: str | None) -> None:
    assert StripeOutbound.settings_schema().load({"api_key": key})["api_key"] == key


def test_the_key_is_not_in_what_is_printed(transport: GuardedTransport) -> None:
    assert KEY not in repr(destination("http://127.0.0.1:1", transport)._account)


def test_what_has_no_effect_is_not_looked_up(transport: GuardedTransport, call: Calls) -> None:
    one = destination("http://127.0.0.1:1", transport)
    assert one.look_up(call("fetch", GOOD["fetch"]), SENT_AT).verdict == "cannot_tell"
