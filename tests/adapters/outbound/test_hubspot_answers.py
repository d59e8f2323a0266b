"""Outcomes of HubSpot's answers, for each of its writing actions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import Call, Verdict
from adapters.contract.answers import TRIES
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.cases import each_of
from tests.gateways.servers import Far

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]


def says(status: int, value: Any, **headers: str) -> Said:
    return status, headers, json.dumps(value).encode()


ABSENT = says(404, {"category": "OBJECT_NOT_FOUND", "message": "resource not found"})
# By action: parameters, and what is answered before the call that writes.
WRITES: dict[str, tuple[dict[str, Any], list[Said]]] = {
    "upsert_contact": ({"email": "jane@example.org"}, []),
    "create_deal": ({"name": "Roof"}, [ABSENT]),
    "update_deal": ({"deal": "7", "name": "Roof"}, []),
    "add_note": ({"text": "Called back", "deal": "7"}, []),
    "set_subscription": (
        {"email": "jane@example.org", "subscription_id": 7, "subscribed": True},
        [],
    ),
}

BLOCKED = ("MISSING_SCOPES", "INVALID_AUTHENTICATION", "EXPIRED_AUTHENTICATION")
TABLE: list[tuple[Said, str, str | None, float | None]] = [
    (says(400, {"category": "VALIDATION_ERROR"}), "permanent", "VALIDATION_ERROR", None),
    (says(400, {"category": "INVALID_OPTION"}), "permanent", "INVALID_OPTION", None),
    (says(400, {"category": "RATE_LIMITS"}), "not_processed", "RATE_LIMITS", None),
    (says(400, {"category": []}), "permanent", None, None),
    *((says(400, {"category": one}), "blocked", one, None) for one in BLOCKED),
    ((400, {}, b"<html>"), "permanent", None, None),
    (says(401, {}), "blocked", None, None),
    (says(403, {"category": "MISSING_SCOPES"}), "blocked", "MISSING_SCOPES", None),
    (says(403, {"category": "RATE_LIMITS"}), "not_processed", "RATE_LIMITS", None),
    (says(405, {}), "permanent", None, None),
    (says(408, {}), "not_processed", None, None),
    (says(413, {}), "permanent", None, None),
    (says(415, {}), "permanent", None, None),
    (says(423, {"category": "LOCKED"}), "not_processed", "LOCKED", 2),
    (says(423, {}, **{"retry-after": "5"}), "not_processed", None, 5),
    (says(429, {"policyName": "SECONDLY"}), "not_processed", "SECONDLY", 1),
    (says(429, {"policyName": "TEN_SECONDLY_ROLLING"}), "not_processed",
     "TEN_SECONDLY_ROLLING", 10),
    (says(429, {"policyName": "DAILY"}), "not_processed", "DAILY", 3600),
    (says(429, {"policyName": "NEW"}, **{"retry-after": "7"}), "not_processed", "NEW", 7),
    (says(477, {}, **{"retry-after": "60"}), "not_processed", None, 60),
    *((says(status, {}), "in_doubt", None, None) for status in (500, 502, 503, 504, 521, 524)),
    (says(500, {"category": "RATE_LIMITS"}), "in_doubt", "RATE_LIMITS", None),
    ((302, {"location": "https://x/"}, b""), "permanent", None, None),
    ((200, {}, b"<html>"), "in_doubt", None, None),
    ((201, {}, b""), "in_doubt", None, None),
    ((207, {}, b"["), "in_doubt", None, None),
    (says(202, []), "in_doubt", None, None),
]  # fmt: skip


@pytest.mark.parametrize("action", WRITES)
@each_of(("said", "verdict", "code", "wait_s"), TABLE)
def test_each_answer_has_its_verdict_for_each_write(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: str,
    code: str | None,
    wait_s: float | None,
    action: str,
) -> None:
    parameters, before = WRITES[action]
    after = [ABSENT] if action == "create_deal" and said[0] == 400 else []
    far.says(*before, said, *after)
    one = HubspotOutbound({"token": "pat-na1-secret", "base_url": far.url}, transport)
    outcome = one.perform(call(action, parameters))
    assert (outcome.verdict, outcome.status) == (verdict, said[0])
    assert (outcome.code, outcome.retry_after_s) == (code, wait_s)
    assert outcome.message.startswith(f"HubSpot answered {said[0]}")
    assert len(far.seen) == len(before) + 1 + len(after)


@pytest.mark.parametrize("action", ["update_deal", "add_note", "set_subscription"])
@pytest.mark.parametrize("status", [404, 409])
def test_what_is_not_there_or_in_conflict_is_permanent(
    far: Far, transport: GuardedTransport, call: Calls, action: str, status: int
) -> None:
    far.says(says(status, {"category": "CONFLICT"}))
    one = HubspotOutbound({"token": "t", "base_url": far.url}, transport)
    outcome = one.perform(call(action, WRITES[action][0]))
    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "CONFLICT")


@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize("then", [ABSENT, says(500, {}), says(403, {})])
def test_a_deal_that_is_refused_and_not_found_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, status: int, then: Said
) -> None:
    far.says(ABSENT, says(status, {"category": "VALIDATION_ERROR"}), then)
    one = HubspotOutbound({"token": "t", "base_url": far.url}, transport)
    outcome = one.perform(call("create_deal", {"name": "Roof"}))
    assert (outcome.verdict, outcome.status) == (Verdict.PERMANENT, status)


@pytest.mark.parametrize(
    ("looked", "verdict"),
    [
        (says(500, {}), Verdict.NOT_PROCESSED),
        (says(429, {}), Verdict.NOT_PROCESSED),
        (says(401, {}), Verdict.BLOCKED),
        (says(403, {}), Verdict.BLOCKED),
        (says(400, {}), Verdict.PERMANENT),
        ((200, {}, b"<html>"), Verdict.NOT_PROCESSED),
        (says(200, {}), Verdict.NOT_PROCESSED),
    ],
)
def test_without_a_look_no_deal_is_created(
    far: Far, transport: GuardedTransport, call: Calls, looked: Said, verdict: Verdict
) -> None:
    far.says(looked)
    one = HubspotOutbound({"token": "t", "base_url": far.url}, transport)
    outcome = one.perform(call("create_deal", {"name": "Roof"}))
    assert outcome.verdict is verdict
    assert [seen.method for seen in far.seen] == ["GET"] * (TRIES if looked[0] >= 500 else 1)
