"""The hubspot destination: an upsert that survives races, and what each answer means."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import AnswerLost, Call, Effect, InvalidParameters, NotSent, Verdict
from adapters.contract.answers import TRIES
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.cases import each_of
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]

BY_EMAIL = "/crm/v3/objects/contacts/jane%2Bx%40example.org?idProperty=email"
CONTACTS = "/crm/v3/objects/contacts"
JANE = {"email": "jane+x@example.org", "properties": {"firstname": "Jané"}}


def says(status: int, value: Any, **headers: str) -> Said:
    return status, headers, json.dumps(value).encode()


OK = says(200, {"id": "501", "properties": {}})
CREATED = says(201, {"id": "502"})
MISSING = says(404, {"category": "OBJECT_NOT_FOUND", "message": "resource not found"})
EXISTS = says(409, {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 77"})


def adapter(far: Far, transport: Any, **settings: Any) -> HubspotOutbound:
    loaded = HubspotOutbound.settings_schema().load({"token": "pat-na1-secret"} | settings)
    return HubspotOutbound({**loaded, "base_url": far.url + "/"}, transport)


def requests_of(far: Far) -> list[tuple[str, str]]:
    return [(seen.method, seen.path) for seen in far.seen]


def test_a_known_contact_is_updated(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(OK)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "501")
    assert requests_of(far) == [("PATCH", BY_EMAIL)]
    assert json.loads(far.seen[0].body) == {"properties": {"firstname": "Jané"}}
    assert far.seen[0].headers["authorization"] == "Bearer pat-na1-secret"
    assert HubspotOutbound.actions["upsert_contact"].effect is Effect.NATURAL


def test_an_unknown_contact_is_created(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(MISSING, CREATED)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "502")
    assert requests_of(far) == [("PATCH", BY_EMAIL), ("POST", CONTACTS)]
    assert json.loads(far.seen[1].body) == {
        "properties": {"firstname": "Jané", "email": "jane+x@example.org"}
    }


def test_a_contact_that_another_writer_created_is_updated_by_its_id(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(MISSING, EXISTS, OK)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert outcome.provider_ref == "501"
    assert requests_of(far)[2] == ("PATCH", CONTACTS + "/77")


def test_without_an_id_in_the_conflict_it_is_updated_by_e_mail(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(MISSING, says(409, {"message": "Contact already exists."}), OK)
    assert adapter(far, transport).perform(call("upsert_contact", JANE)).provider_ref == "501"
    assert requests_of(far)[2] == ("PATCH", BY_EMAIL)


def test_a_contact_that_comes_and_goes_is_tried_again(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(MISSING, EXISTS, MISSING)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert outcome.verdict is Verdict.NOT_PROCESSED
    assert len(far.seen) == 3


def test_values_are_texts_and_empty_ones_are_left_out(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(MISSING, CREATED)
    properties = {
        "a": "x", "b": 5, "c": 1.5, "d": True, "e": False, "f": None, "g": "", "h": "  ", "i": 0,
        "email": "other@example.org",
    }  # fmt: skip
    adapter(far, transport).perform(
        call("upsert_contact", {"email": " jane@example.org ", "properties": properties})
    )
    sent = {"a": "x", "b": "5", "c": "1.5", "d": "true", "e": "false", "i": "0"}
    assert json.loads(far.seen[0].body) == {"properties": sent}
    assert json.loads(far.seen[1].body) == {"properties": {**sent, "email": "jane@example.org"}}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"email": ""},
        {"email": None},
        {"email": "jane"},
        {"email": "jane@"},
        {"email": "@example.org"},
        {"email": "a@b@c"},
        {"email": "jane@exa mple.org"},
        {"email": "jane@example.org\r\nx"},
        {"email": "jane\x00@example.org"},
        {"email": "jane@example.org/../1"},
        {"email": 5},
        {"email": "jane@example.org", "properties": {"a": []}},
        {"email": "jane@example.org", "properties": {"a": {}}},
        {"email": "jane@example.org", "properties": {"a": float("inf")}},
        {"email": "jane@example.org", "properties": "a"},
        {"email": "jane@example.org", "propertys": {}},
    ],
)
def test_what_is_no_contact_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        adapter(far, transport).perform(call("upsert_contact", parameters))
    assert far.seen == []


@each_of(
    ("said", "verdict", "code", "wait_s"),
    [
        (says(400, {"category": "VALIDATION_ERROR", "message": "no"}), "permanent",
         "VALIDATION_ERROR", None),
        (says(401, {"category": "INVALID_AUTHENTICATION"}), "blocked",
         "INVALID_AUTHENTICATION", None),
        (says(403, {"category": "MISSING_SCOPES"}), "blocked", "MISSING_SCOPES", None),
        (says(405, {}), "permanent", None, None),
        (says(414, {}), "permanent", None, None),
        (says(423, {}), "not_processed", None, 2),
        (says(429, {"policyName": "SECONDLY"}), "not_processed", "SECONDLY", 1),
        (says(429, {"policyName": "TEN_SECONDLY_ROLLING", "category": "RATE_LIMITS"}),
         "not_processed", "RATE_LIMITS", 10),
        (says(429, {"policyName": "DAILY"}), "not_processed", "DAILY", 3600),
        (says(429, {"policyName": "DAILY"}, **{"retry-after": "5"}), "not_processed", "DAILY", 5),
        (says(429, {}), "not_processed", None, None),
        ((429, {}, b"<html>"), "not_processed", None, None),
        (says(477, {}, **{"retry-after": "86400"}), "not_processed", None, 86400),
        (says(500, {}), "in_doubt", None, None),
        ((502, {}, b"<html>"), "in_doubt", None, None),
        (says(503, {}, **{"retry-after": "9"}), "in_doubt", None, 9),
        ((504, {}, b""), "in_doubt", None, None),
        ((524, {}, b""), "in_doubt", None, None),
        ((302, {"location": "https://x/"}, b""), "permanent", None, None),
        ((200, {}, b"<html>"), "in_doubt", None, None),
        ((200, {}, b""), "in_doubt", None, None),
        ((200, {}, b'{"id": "5'), "in_doubt", None, None),
        ((200, {}, b"[]"), "in_doubt", None, None),
        ((200, {}, b"{}"), "in_doubt", None, None),
        ((204, {}, b""), "in_doubt", None, None),
    ],
)  # fmt: skip
@each_of("step", ["update", "create", "update again"])
def test_each_answer_has_its_verdict_at_each_step(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: str,
    code: str | None,
    wait_s: float | None,
    step: str,
) -> None:
    before = {"update": [], "create": [MISSING], "update again": [MISSING, EXISTS]}[step]
    far.says(*before, said)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert (outcome.verdict, outcome.status) == (verdict, said[0])
    assert (outcome.code, outcome.retry_after_s) == (code, wait_s)
    assert outcome.provider_ref is None
    assert outcome.message.startswith(f"HubSpot answered {said[0]}")
    assert len(far.seen) == len(before) + 1


def test_a_conflict_of_an_update_is_permanent(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(EXISTS)
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "CONFLICT")


def test_missing_scopes_are_named(far: Far, transport: GuardedTransport, call: Calls) -> None:
    said = {
        "category": "MISSING_SCOPES",
        "message": "This app hasn't been granted all required scopes to make this call.",
        "errors": [{"context": {"requiredGranularScopes": ["crm.objects.contacts.write"]}}],
    }
    far.says(says(403, said))
    message = adapter(far, transport).perform(call("upsert_contact", JANE)).message
    assert message == (
        "HubSpot answered 403: MISSING_SCOPES; This app hasn't been granted all required scopes "
        "to make this call.; needs crm.objects.contacts.write"
    )


@pytest.mark.parametrize(
    "said",
    [
        {"errors": 5, "context": []},
        {"errors": [5, {"context": {"requiredScopes": "abc"}}], "category": {}, "message": []},
        {"errors": [{"context": {"requiredScopes": 5}}], "policyName": {}},
    ],
)
def test_strange_errors_are_read_all_the_same(
    far: Far, transport: GuardedTransport, call: Calls, said: Any
) -> None:
    far.says(says(403, said))
    outcome = adapter(far, transport).perform(call("upsert_contact", JANE))
    assert outcome.verdict is Verdict.BLOCKED


def test_the_message_holds_no_address_and_no_token(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says(400, {"message": "jane+x@example.org or pat-na1-secret\nis wrong"}))
    message = adapter(far, transport).perform(call("upsert_contact", JANE)).message
    assert message == "HubSpot answered 400: [e-mail] or *** is wrong"


def test_a_lost_answer_is_the_caller_s_to_settle(transport: GuardedTransport, call: Calls) -> None:
    with raw_server(lambda sock: None) as url:
        one = HubspotOutbound({"token": "t", "base_url": url}, transport)
        with pytest.raises(AnswerLost):
            one.perform(call("upsert_contact", JANE))
    with pytest.raises(NotSent):
        one.perform(call("upsert_contact", JANE))


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (says(200, {"results": []}), True, "accepts the token"),
        (says(401, {"category": "INVALID_AUTHENTICATION"}), False, "private app into `token`"),
        (says(403, {"category": "MISSING_SCOPES"}), False, "crm.objects.contacts.write"),
        (says(429, {}), False, "try again later"),
        (says(503, {}), False, "try again later"),
        (says(404, {}), False, "base_url"),
        ((200, {}, b"<html>"), False, "base_url"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = adapter(far, transport).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert "pat-na1" not in probe.message
    assert requests_of(far) == [("GET", CONTACTS + "?limit=1")] * (TRIES if said[0] >= 500 else 1)


def test_without_a_token_it_plays_in_the_sandbox(call: Calls) -> None:
    assert HubspotOutbound.missing({"token": ""}) == [("token", "refresh_token")]
    sandbox = RecordingTransport(HubspotOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    one = HubspotOutbound({"token": ""}, sandbox)
    outcome = one.perform(call("upsert_contact", JANE))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "sandbox")
    assert sandbox.last is not None
    assert sandbox.last.url.startswith("https://api.hubapi.com/crm/")
