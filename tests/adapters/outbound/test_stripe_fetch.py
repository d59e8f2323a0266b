"""stripe.fetch: a thin event is brought whole, in its own context."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import Call, InvalidParameters, Verdict
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.stripe_calls import destination
from tests.gateways.servers import Far

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]

METER = {"id": "mtr_123", "object": "billing.meter"}


def says(value: Any, status: int = 200) -> Said:
    return status, {}, json.dumps(value).encode()


def event(url: Any) -> dict[str, Any]:
    return {"id": "evt_234", "object": "v2.core.event", "related_object": {"url": url}}


def test_event_and_object_are_brought_in_the_event_s_context(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    thin = event("/v1/billing/meters/mtr_123")
    far.says(says(thin), says(METER))
    one = destination(far.url, transport, account="acct_other")
    outcome = one.perform(call("fetch", {"event_id": "evt_234", "context": "acct_123"}))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "evt_234")
    assert outcome.found == {"event": thin, "object": METER}
    paths = [(seen.method, seen.path) for seen in far.seen]
    assert paths == [("GET", "/v2/core/events/evt_234"), ("GET", "/v1/billing/meters/mtr_123")]
    for seen in far.seen:
        assert seen.headers["stripe-context"] == "acct_123"
        assert "stripe-account" not in seen.headers


def test_without_a_context_it_is_the_destination_s_account(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says(event(None)))
    one = destination(far.url, transport, account="acct_1")
    assert one.perform(call("fetch", {"event_id": "evt_234"})).found == {
        "event": event(None),
        "object": None,
    }
    assert far.seen[0].headers["stripe-account"] == "acct_1"
    assert "stripe-context" not in far.seen[0].headers


@pytest.mark.parametrize(
    "url",
    [
        None, 7, "", "https://evil.example/v1/x", "//evil.example/v1/x", "/v1/../admin", "/v1",
        "/v3/x/y", "/v1/x?expand[]=y", "/v1/x/\r\nHost: evil", "@evil.example/v1/x", "/v1/a//b",
    ],
)  # fmt: skip
def test_nothing_but_a_path_of_the_api_is_followed(
    far: Far, transport: GuardedTransport, call: Calls, url: Any
) -> None:
    far.says(says(event(url)))
    outcome = destination(far.url, transport).perform(call("fetch", {"event_id": "evt_234"}))
    assert outcome.found is not None
    assert outcome.found["object"] is None
    assert len(far.seen) == 1


def test_an_object_that_is_gone_is_none(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(says(event("/v1/customers/cus_1")), says({"error": {}}, 404))
    outcome = destination(far.url, transport).perform(call("fetch", {"event_id": "evt_234"}))
    assert outcome.found == {"event": event("/v1/customers/cus_1"), "object": None}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(401, "blocked"), (403, "blocked"), (429, "not_processed"), (500, "not_processed")],
)
@pytest.mark.parametrize("second", [True, False])
def test_a_refusal_at_either_call_has_its_verdict(
    far: Far, transport: GuardedTransport, call: Calls, status: int, verdict: str, second: bool
) -> None:
    refusal = says({"error": {}}, status)
    far.says(*([says(event("/v1/customers/cus_1"))] if second else []), refusal)
    outcome = destination(far.url, transport).perform(call("fetch", {"event_id": "evt_234"}))
    assert (outcome.verdict, outcome.found) == (verdict, None)


def test_an_event_that_is_not_there_is_permanent(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says({"error": {"code": "not_found"}}, 404))
    outcome = destination(far.url, transport).perform(call("fetch", {"event_id": "evt_234"}))
    assert outcome.verdict is Verdict.PERMANENT


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"event_id": ""},
        {"event_id": "../v1/customers"},
        {"event_id": "evt_1\n"},
        {"event_id": "evt_1", "context": "a\r\nb"},
        {"event_id": "evt_1", "context": ""},
        {"event_id": "evt_1", "context": 7},
    ],
)
def test_what_names_no_event_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        destination(far.url, transport).perform(call("fetch", parameters))
    assert far.seen == []
