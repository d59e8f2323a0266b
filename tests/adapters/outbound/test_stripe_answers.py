"""Outcomes of Stripe's answers, and the words that a person gets to read."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import AdapterError, Call, NotSent, Verdict
from adapters.contract.errors import AnswerLost
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.stripe_calls import SENT_AT, destination
from tests.gateways.servers import Far, raw_server
from tests.stripe_far_end import KEY

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]

ALL = {"payment_intent": "pi_1"}
NONE_FOUND: Said = (200, {}, b'{"object": "list", "data": [], "has_more": false}')


def says(status: int, headers: dict[str, str] | None = None, **error: Any) -> Said:
    return status, headers or {}, json.dumps({"error": error}).encode()


AGAIN, NOT_AGAIN = {"stripe-should-retry": "true"}, {"stripe-should-retry": "false"}
TABLE: list[tuple[Said, str, str | None]] = [
    (says(400, type="invalid_request_error", code="parameter_missing"), "permanent",
     "parameter_missing"),
    (says(400, type="invalid_request_error"), "permanent", "invalid_request_error"),
    (says(400, type="idempotency_error"), "permanent", "idempotency_error"),
    (says(400, type="invalid_request_error", code="rate_limit"), "not_processed", "rate_limit"),
    (says(401, type="invalid_request_error"), "blocked", "invalid_request_error"),
    (says(401, AGAIN, type="invalid_request_error"), "blocked", "invalid_request_error"),
    (says(402, type="card_error", code="card_declined", decline_code="insufficient_funds"),
     "permanent", "insufficient_funds"),
    (says(402, type="card_error", code="expired_card"), "permanent", "expired_card"),
    (says(403, type="invalid_request_error", code="more_permissions_required"), "blocked",
     "more_permissions_required"),
    (says(404, type="invalid_request_error", code="resource_missing"), "permanent",
     "resource_missing"),
    (says(409, type="idempotency_error", code="idempotency_key_in_use"), "not_processed",
     "idempotency_key_in_use"),
    (says(409, type="api_error"), "not_processed", "api_error"),
    (says(409, NOT_AGAIN, type="api_error"), "not_processed", "api_error"),
    (says(424, type="api_error"), "permanent", "api_error"),
    (says(400, AGAIN, type="invalid_request_error"), "not_processed", "invalid_request_error"),
    (says(429, type="invalid_request_error", code="lock_timeout"), "not_processed",
     "lock_timeout"),
    (says(429, NOT_AGAIN, type="rate_limit_error"), "not_processed", "rate_limit_error"),
    ((429, {}, b"<html>"), "not_processed", None),
    (says(500, type="api_error"), "in_doubt", "api_error"),
    (says(500, AGAIN, type="api_error"), "in_doubt", "api_error"),
    (says(500, NOT_AGAIN, type="api_error"), "in_doubt", "api_error"),
    (says(500, {"idempotent-replayed": "true"}, type="api_error"), "in_doubt", "api_error"),
    ((502, {}, b"<html>"), "in_doubt", None),
    (says(503, type="api_error", code="lock_timeout"), "in_doubt", "lock_timeout"),
    ((504, {}, b""), "in_doubt", None),
    ((302, {"location": "https://x/"}, b""), "permanent", None),
    ((200, {}, b"<html>"), "in_doubt", None),
    ((200, {}, b'{"id": "re_1'), "in_doubt", None),
    ((200, {}, b"[]"), "in_doubt", None),
    ((200, {}, b'{"id": 7}'), "in_doubt", None),
    ((204, {}, b""), "in_doubt", None),
    ((400, {}, b'{"error": "invalid_grant"}'), "permanent", None),
    ((400, {}, b'{"error": {"code": [], "type": {}, "message": 7}}'), "permanent", None),
]  # fmt: skip


@pytest.mark.parametrize(("said", "verdict", "code"), TABLE)
def test_each_answer_to_a_call_with_an_effect_has_its_verdict(
    far: Far, transport: GuardedTransport, call: Calls, said: Said, verdict: str, code: str | None
) -> None:
    far.says(said, NONE_FOUND)
    outcome = destination(far.url, transport).perform(call("refund", ALL))
    assert (outcome.verdict, outcome.code, outcome.status) == (verdict, code, said[0])
    assert outcome.message.startswith(f"Stripe answered {said[0]}")
    assert outcome.provider_ref is None


@pytest.mark.parametrize(("said", "verdict", "code"), TABLE)
def test_a_refused_look_before_the_call_is_never_doubt(
    far: Far, transport: GuardedTransport, call: Calls, said: Said, verdict: str, code: str | None
) -> None:
    if said[0] == 200 and said[2] == b'{"id": 7}':
        return  # a list may say what it likes
    far.says(said)
    outcome = destination(far.url, transport).perform(call("refund", ALL | {"amount": 5}))
    expected = "not_processed" if verdict == "in_doubt" else verdict
    assert (outcome.verdict, outcome.code) == (expected, code)
    assert {seen.method for seen in far.seen} == {"GET"}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"object": "list"},
        {"data": None, "has_more": False},
        {"data": []},
        {"data": [], "has_more": "no"},
        {"data": [], "has_more": True},
        {"data": [{}], "has_more": False},
        {"data": [{"id": 7}], "has_more": True},
        {"data": [7, {"id": "cus_1"}], "has_more": False},
    ],
)
def test_a_list_that_cannot_be_read_is_not_an_empty_one(
    far: Far, transport: GuardedTransport, call: Calls, told: dict[str, Any]
) -> None:
    far.says((200, {}, json.dumps(told).encode()))
    one = destination(far.url, transport)
    outcome = one.perform(call("upsert_customer", {"email": "jane@example.org"}))
    assert outcome.verdict is Verdict.NOT_PROCESSED
    assert "not with a list of /v1/customers" in outcome.message
    with pytest.raises(AdapterError, match="not with a list"):
        one.look_up(call("refund", ALL), SENT_AT)
    assert {seen.method for seen in far.seen} == {"GET"}


def test_a_list_that_goes_in_circles_ends(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    page = {"data": [{"id": "cus_1"}], "has_more": True}
    far.says((200, {}, json.dumps(page).encode()))
    one = destination(far.url, transport)
    outcome = one.perform(call("upsert_customer", {"email": "jane@example.org"}))
    assert (outcome.verdict, len(far.seen)) == (Verdict.NOT_PROCESSED, 2)


def test_other_parameters_under_a_key_are_said_in_words(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says(400, type="idempotency_error", message="Keys for idempotent requests can only"))
    outcome = destination(far.url, transport).perform(call("refund", ALL))
    assert outcome.verdict is Verdict.PERMANENT
    assert "other parameters under this delivery's key" in outcome.message
    assert len(far.seen) == 1


def test_the_message_holds_no_address_number_or_key(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says(402, type="card_error", message=f"jane@x.org +1 202 555 0123 {KEY}\nno"))
    message = destination(far.url, transport).perform(call("refund", ALL)).message
    assert message == "Stripe answered 402: card_error; [e-mail] [phone] *** no"


def test_a_lost_answer_is_the_caller_s_to_settle_and_a_lost_look_is_not(
    transport: GuardedTransport, call: Calls
) -> None:
    with raw_server(lambda _: None) as url:
        one = destination(url, transport)
        with pytest.raises(AnswerLost):
            one.perform(call("refund", ALL))
        for look in ({"email": "jane@example.org"}, {"email": "jane@example.org", "name": "J"}):
            with pytest.raises(NotSent):
                one.perform(call("upsert_customer", look))
        with pytest.raises(NotSent):
            one.look_up(call("refund", ALL), SENT_AT)
    with pytest.raises(NotSent):
        one.perform(call("refund", ALL))


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (NONE_FOUND, True, "accepts the key (test mode)"),
        (says(401), False, "restricted one (rk_...) into `api_key`"),
        (says(403), False, "leave to write Customers"),
        (says(429), False, "try again later"),
        (says(503), False, "try again later"),
        (says(404), False, "base_url"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = destination(far.url, transport).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert KEY not in probe.message
    assert {(seen.method, seen.path) for seen in far.seen} == {("GET", "/v1/customers?limit=1")}


def test_a_probe_without_an_answer_is_not_doubt(transport: GuardedTransport) -> None:
    with raw_server(lambda _: None) as url, pytest.raises(NotSent):
        destination(url, transport).probe()
