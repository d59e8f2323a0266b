"""hubspot's fetch and set_subscription, and the events that a fetched object completes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import (
    AnswerLost,
    Call,
    Effect,
    InboundRequest,
    InvalidParameters,
    NotSent,
    Verdict,
)
from adapters.hubspot.inbound import HubspotInbound, HubspotInboundSettings
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.crm import Crm, refused, said
from tests.adapters.outbound.test_hubspot_accounts import EXPIRED
from tests.far_end import FarEnd, Received, Reply
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]
CONTACT = {"object": "contacts", "id": "101"}
ALREADY = refused(
    400, "VALIDATION_ERROR", "Subscription 7 is already updated with requested status for recipient"
)
OPTED = {"email": "jane@example.org", "subscription_id": 7}


def adapter(url: str, transport: Any) -> HubspotOutbound:
    return HubspotOutbound({"token": "pat-na1-secret", "base_url": url}, transport)


def test_an_object_is_fetched_with_what_completes_its_event(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm()
    contact = crm.add("contacts", email="jane@example.org", firstname="Jane")
    deal = crm.add("deals", dealname="Roof", amount="10.50", deal_currency_code="USD")
    inbound = HubspotInbound(HubspotInboundSettings().load({"secrets": ["s"]}))
    completed = []
    with FarEnd(crm.behave) as far:
        one = adapter(far.url, transport)
        for subject, object_id in (("contact", contact), ("deal", deal), ("deal", "999")):
            sample = inbound.sample(f"{subject}.creation", "1", NOW, live=True, url="https://h/")
            (item,) = json.loads(sample.body)
            body = json.dumps([item | {"objectId": int(object_id)}]).encode()
            (event,) = inbound.parse(InboundRequest("POST", "https://h/", {}, body, NOW))
            outcome = one.perform(call("fetch", event.fetch))
            assert outcome.verdict is Verdict.SUCCEEDED
            assert outcome.found is not None
            completed.append(inbound.complete(event, outcome.found))
        asked = [received.path for received in far.received]
    assert [{k: v for k, v in one.data.items() if k != "native"} for one in completed] == [
        {"object_id": contact, "email": "jane@example.org", "name": "Jane"},
        {"object_id": deal, "name": "Roof", "amount": 1050, "currency": "USD"},
        {"object_id": "999"},
    ]
    assert "properties=email,firstname,lastname,phone,mobilephone,lifecyclestage" in asked[0]
    action = HubspotOutbound.actions["fetch"]
    assert (action.effect, action.internal) == (Effect.NATURAL, True)


def test_only_hubspot_s_own_404_says_that_it_is_gone(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    for told in ({"category": "OBJECT_NOT_FOUND"}, {"correlationId": "c", "message": "no"}):
        far.says((404, {}, json.dumps(told).encode()))
        assert adapter(far.url, transport).perform(call("fetch", CONTACT)).found == {"gone": True}
    for body in (b"<html>", b"{}", b'{"error": "no route"}'):
        far.says((404, {}, body))
        outcome = adapter(far.url, transport).perform(call("fetch", CONTACT))
        assert (outcome.verdict, outcome.found) == (Verdict.PERMANENT, None)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (said(500, {}), Verdict.NOT_PROCESSED),
        (said(429, {}), Verdict.NOT_PROCESSED),
        (said(477, {}), Verdict.NOT_PROCESSED),
        (said(200, {}), Verdict.NOT_PROCESSED),
        (Reply(200, b"<html>"), Verdict.NOT_PROCESSED),
        (EXPIRED, Verdict.BLOCKED),
        (refused(403, "MISSING_SCOPES", "no"), Verdict.BLOCKED),
        (refused(400, "VALIDATION_ERROR", "no"), Verdict.PERMANENT),
    ],
)
def test_what_cannot_be_fetched_is_never_doubt(
    transport: GuardedTransport, call: Calls, reply: Reply, verdict: Verdict
) -> None:
    with FarEnd(lambda received: reply) as far:
        outcome = adapter(far.url, transport).perform(call("fetch", CONTACT))
    assert (outcome.verdict, outcome.found) == (verdict, None)
    assert outcome.message


def test_a_lost_line_is_no_doubt_when_it_only_fetched(
    transport: GuardedTransport, call: Calls
) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(NotSent):
        adapter(url, transport).perform(call("fetch", CONTACT))


@pytest.mark.parametrize("wrong", [{}, {"object": "companies"}, {"id": "../1"}, {"id": "1?x=2"}])
def test_only_contacts_and_deals_are_fetched(
    far: Far, transport: GuardedTransport, call: Calls, wrong: dict[str, Any]
) -> None:
    parameters = CONTACT | wrong if wrong else {}
    with pytest.raises(InvalidParameters):
        adapter(far.url, transport).perform(call("fetch", parameters))
    assert far.seen == []


def test_the_sandbox_fetches_what_was_asked_for(call: Calls) -> None:
    sandbox = RecordingTransport(HubspotOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    found = HubspotOutbound({}, sandbox).perform(call("fetch", CONTACT)).found
    assert found == {"id": "101", "properties": {}}


@pytest.mark.parametrize(
    ("subscribed", "verb"), [(True, "subscribe"), (False, "unsubscribe"), ("false", "unsubscribe")]
)
def test_a_subscription_is_set(
    far: Far, transport: GuardedTransport, call: Calls, subscribed: Any, verb: str
) -> None:
    far.says((200, {}, b'{"id": "7", "status": "SUBSCRIBED"}'))
    basis = {"legal_basis": "CONSENT_WITH_NOTICE", "explanation": "ticked the box"}
    for extra in ({}, basis):
        outcome = adapter(far.url, transport).perform(
            call("set_subscription", OPTED | {"subscribed": subscribed} | extra)
        )
        assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, None)
    assert far.seen[0].path == f"/communication-preferences/v3/{verb}"
    plain = {"emailAddress": "jane@example.org", "subscriptionId": "7"}
    assert json.loads(far.seen[0].body) == plain
    assert json.loads(far.seen[1].body) == plain | {
        "legalBasis": "CONSENT_WITH_NOTICE",
        "legalBasisExplanation": "ticked the box",
    }
    assert HubspotOutbound.actions["set_subscription"].effect is Effect.NATURAL


@pytest.mark.parametrize(
    ("first", "status", "verdict"),
    [
        (ALREADY, "NOT_SUBSCRIBED", Verdict.SUCCEEDED),
        (ALREADY, "SUBSCRIBED", Verdict.PERMANENT),
        (ALREADY, None, Verdict.PERMANENT),
        # A person who never chose is NOT_SUBSCRIBED too, and must not be taken for opted out.
        (refused(400, "VALIDATION_ERROR", "legalBasis"), "NOT_SUBSCRIBED", Verdict.PERMANENT),
    ],
)
def test_what_is_so_already_is_success_only_when_it_is_seen(
    transport: GuardedTransport, call: Calls, first: Reply, status: str | None, verdict: Verdict
) -> None:
    def behave(received: Received) -> Reply:
        if received.method == "POST":
            return first
        assert received.path.endswith("/v3/status/email/jane%40example.org")
        others = [{"id": "8", "status": "NOT_SUBSCRIBED"}, 5]
        return said(200, {"subscriptionStatuses": [*others, {"id": "7", "status": status}]})

    with FarEnd(behave) as far:
        outcome = adapter(far.url, transport).perform(
            call("set_subscription", OPTED | {"subscribed": False})
        )
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "jane"},
        {"email": None},
        {"subscription_id": "newsletter"},
        {"subscribed": None},
        {"subscribed": "perhaps"},
        {"legal_basis": "BECAUSE"},
        {"explanation": " "},
        {"subscribe": True},
    ],
)
def test_what_is_no_subscription_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        adapter(far.url, transport).perform(
            call("set_subscription", OPTED | {"subscribed": True} | wrong)
        )
    assert far.seen == []


def test_a_lost_answer_to_a_write_is_doubt(transport: GuardedTransport, call: Calls) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(AnswerLost):
        adapter(url, transport).perform(call("set_subscription", OPTED | {"subscribed": True}))
