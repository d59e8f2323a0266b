"""The pipedrive destination: who is updated and who created, and what each answer means."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from marshmallow import ValidationError

from adapters import (
    Answer,
    AnswerLost,
    Call,
    Effect,
    InvalidParameters,
    LookupVerdict,
    NotSent,
    Verdict,
)
from adapters.contract.answers import TRIES
from adapters.pipedrive.outbound import PipedriveOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.cases import each_of
from tests.gateways.servers import Far

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]

TOKEN = "4ec5f0a1b2c3d4e5f60718293a4b5c6d7e8f9012"
MARKER = "a" * 40
CUSTOM = "b" * 40
EMAIL = "jane+x@example.org"
ATTEMPT = "0190f1c2-7a3b-7000-8000-000000000001.1"
JANE = {"email": EMAIL, "name": "Jané", "phone": "+44 20 7946 0000"}
DEAL = {"title": "Roof", "person": 5, "amount": 123456, "currency": "eur", "stage": "3"}
ACTIONS: dict[str, dict[str, Any]] = {
    "upsert_person": JANE,
    "create_deal": DEAL,
    "add_note": {"content": "Called.", "person": 5},
}


def says(status: int, value: Any, **headers: str) -> Said:
    return (
        status,
        {name.replace("_", "-"): v for name, v in headers.items()},
        json.dumps(value).encode(),
    )


def data(value: Any, **more: Any) -> Said:
    return says(200, {"success": True, "data": value, **more})


def found(*people: dict[str, Any]) -> Said:
    return data({"items": [{"result_score": 1, "item": one} for one in people]})


NOBODY = found()
NONE_LATELY = data([])
KNOWN = found({"id": 12, "emails": [EMAIL]}, {"id": 7, "emails": ["JANE+x@example.org"]})
CREATED = says(201, {"success": True, "data": {"id": 31}})
# What is read before an action writes.
BEFORE = {"upsert_person": [NOBODY, NONE_LATELY], "create_deal": [], "add_note": []}


def adapter(far: Far, transport: Any, **settings: Any) -> PipedriveOutbound:
    loaded = PipedriveOutbound.settings_schema().load({"api_token": TOKEN} | settings)
    return PipedriveOutbound({**loaded, "base_url": far.url + "/"}, transport)


def requests_of(far: Far) -> list[tuple[str, str]]:
    return [(seen.method, urlsplit(seen.path).path) for seen in far.seen]


def query(far: Far, index: int) -> dict[str, str]:
    return {key: one[0] for key, one in parse_qs(urlsplit(far.seen[index].path).query).items()}


def body(far: Far) -> Any:
    return json.loads(far.seen[-1].body)


def test_nobody_known_is_created(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(NOBODY, NONE_LATELY, CREATED)
    fields = {CUSTOM: "x", "owner_id": 4, "c" * 40: "", "d" * 40: None}
    outcome = adapter(far, transport).perform(call("upsert_person", JANE | {"fields": fields}))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "31")
    assert requests_of(far) == [
        ("GET", "/api/v2/persons/search"),
        ("GET", "/api/v2/persons"),
        ("POST", "/api/v2/persons"),
    ]
    assert query(far, 0) == {"term": EMAIL, "fields": "email", "exact_match": "true"}
    assert query(far, 1)["updated_since"] == "2026-11-20T11:50:00Z"
    assert body(far) == {
        "name": "Jané",
        "emails": [{"value": EMAIL, "primary": True, "label": "work"}],
        "phones": [{"value": "+44 20 7946 0000", "primary": True, "label": "work"}],
        "owner_id": 4,
        "custom_fields": {CUSTOM: "x"},
    }
    assert {seen.headers["x-api-token"] for seen in far.seen} == {TOKEN}


def test_the_oldest_of_those_with_the_address_is_updated_and_no_address_is_written(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(KNOWN, data({"id": 7}))
    outcome = adapter(far, transport).perform(
        call("upsert_person", {"email": f" {EMAIL} ", "name": "Jané"})
    )
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "7")
    assert requests_of(far)[1:] == [("PATCH", "/api/v2/persons/7")]
    assert body(far) == {"name": "Jané"}


def test_a_new_number_is_added_to_those_that_are_there(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    old = {"value": "020 1", "primary": True, "label": "home"}
    far.says(KNOWN, data({"id": 7, "phones": [old]}), data({"id": 7}))
    adapter(far, transport).perform(call("upsert_person", JANE))
    assert body(far)["phones"] == [
        old,
        {"value": "+44 20 7946 0000", "primary": False, "label": "work"},
    ]


def test_a_number_that_is_there_is_not_written_again(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(KNOWN, data({"id": 7, "phones": [{"value": "+442079460000"}]}), data({"id": 7}))
    parameters = {"email": EMAIL, "phone": JANE["phone"]}
    outcome = adapter(far, transport).perform(call("upsert_person", parameters))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "7")
    assert [method for method, _ in requests_of(far)] == ["GET", "GET"]


def test_whom_the_search_does_not_know_yet_is_found_among_the_latest(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    latest = [{"id": 9, "emails": []}, {"id": 8, "emails": [{"value": EMAIL.upper()}]}]
    far.says(NOBODY, data(latest), data({"id": 8}))
    outcome = adapter(far, transport).perform(call("upsert_person", {"email": EMAIL, "name": "J"}))
    assert outcome.provider_ref == "8"
    assert requests_of(far)[2] == ("PATCH", "/api/v2/persons/8")


def test_a_near_match_is_nobody(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(found({"id": 7, "emails": ["x" + EMAIL]}), NONE_LATELY, CREATED)
    assert adapter(far, transport).perform(call("upsert_person", JANE)).provider_ref == "31"


@pytest.mark.parametrize("status", [404, 410])
def test_somebody_who_was_just_deleted_is_tried_again_later(
    far: Far, transport: GuardedTransport, call: Calls, status: int
) -> None:
    for before in ([KNOWN], [KNOWN, data({"id": 7})]):
        far.says(*before, says(status, {"success": False, "error": "Person not found"}))
        outcome = adapter(far, transport).perform(call("upsert_person", JANE))
        assert (outcome.verdict, outcome.retry_after_s) == (Verdict.NOT_PROCESSED, 60)


def test_calls_about_one_address_take_turns(call: Calls) -> None:
    people: list[dict[str, Any]] = []
    both = threading.Barrier(2, timeout=0.3)

    class Crm:
        """Answers from `people`; two who look at the same time both see nobody."""

        def send(self, method: str, url: str, **given: Any) -> Answer:
            if method == "GET" and "/search" in url:
                seen = list(people)
                try:
                    both.wait()
                except threading.BrokenBarrierError:
                    both.reset()
                return answer({"items": [{"item": one} for one in seen]})
            if method == "GET":
                return answer([])
            if method == "POST":
                people.append({"id": len(people) + 1, "emails": [EMAIL]})
            return answer({"id": len(people)})

    def answer(value: Any) -> Answer:
        return Answer(200, {}, json.dumps({"success": True, "data": value}).encode())

    one = PipedriveOutbound({"api_token": TOKEN, "company": "acme"}, Crm())
    asked = [
        call("upsert_person", {"email": email, "name": "J"}) for email in (EMAIL, EMAIL.upper())
    ]
    threads = [threading.Thread(target=one.perform, args=(each,)) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(people) == 1


def test_a_deal_is_created_in_major_units(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(CREATED)
    fields = {CUSTOM: {"value": 1}, "expected_close_date": "2026-12-01"}
    one = adapter(far, transport, marker_field=MARKER)
    outcome = one.perform(call("create_deal", DEAL | {"fields": fields}, attempt_id=ATTEMPT))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "31")
    assert requests_of(far) == [("POST", "/api/v2/deals")]
    assert body(far) == {
        "title": "Roof",
        "person_id": 5,
        "value": 1234.56,
        "currency": "EUR",
        "stage_id": 3,
        "expected_close_date": "2026-12-01",
        "custom_fields": {CUSTOM: {"value": 1}, MARKER: ATTEMPT},
    }


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (0, "EUR", b'"value":0'),
        (5, "EUR", b'"value":0.05'),
        (1000, "EUR", b'"value":10'),
        (1000, "JPY", b'"value":1000'),
        (1001, "KWD", b'"value":1.001'),
        (999_999_999_999_999, "EUR", b'"value":9999999999999.99'),
    ],
)
def test_money_is_exact(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    amount: int,
    currency: str,
    written: bytes,
) -> None:
    far.says(CREATED)
    parameters = {"title": "x", "amount": amount, "currency": currency}
    adapter(far, transport).perform(call("create_deal", parameters))
    assert written + b"}" in far.seen[0].body


def test_a_deal_finds_its_person_by_address(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(KNOWN, CREATED)
    adapter(far, transport).perform(call("create_deal", DEAL | {"person": EMAIL}))
    assert body(far)["person_id"] == 7


@pytest.mark.parametrize("action", ["create_deal", "add_note"])
def test_without_that_person_it_waits(
    far: Far, transport: GuardedTransport, call: Calls, action: str
) -> None:
    far.says(NOBODY, NONE_LATELY)
    outcome = adapter(far, transport).perform(call(action, ACTIONS[action] | {"person": EMAIL}))
    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.NOT_PROCESSED, 60)
    assert "upsert_person" in outcome.message
    assert [method for method, _ in requests_of(far)] == ["GET", "GET"]


def test_a_note_is_text_with_the_attempt_in_its_last_line(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(CREATED)
    parameters = {"content": " <b>Hi</b> & bye\nJane ", "deal": "8"}
    outcome = adapter(far, transport).perform(call("add_note", parameters, attempt_id=ATTEMPT))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert requests_of(far) == [("POST", "/api/v1/notes")]
    assert body(far) == {
        "deal_id": 8,
        "content": f"&lt;b&gt;Hi&lt;/b&gt; &amp; bye<br>Jane<br><br>hub_attempt: {ATTEMPT}",
    }


@each_of(
    ("said", "verdict", "wait_s"),
    [
        (says(400, {"success": False, "error": "no", "code": "ERR_SCHEMA"}), "permanent", None),
        (says(401, {"success": False, "error": "unauthorized access"}), "blocked", None),
        (says(402, {"success": False, "error": "Payment Required"}), "blocked", None),
        (says(403, {"success": False, "error": "Forbidden"}), "blocked", None),
        ((403, {"content-type": "text/html"}, b"<html>cloudflare"), "not_processed", 300),
        (says(405, {}), "permanent", None),
        (says(415, {}), "permanent", None),
        (says(422, {}), "permanent", None),
        (says(429, {}), "not_processed", None),
        (says(429, {}, x_ratelimit_reset="2"), "not_processed", 2),
        (says(429, {}, x_ratelimit_reset="2", x_ratelimit_remaining="0"), "not_processed", 2),
        (says(429, {}, x_ratelimit_reset="2", x_ratelimit_remaining="9"), "not_processed", 3600),
        (says(429, {}, x_daily_ratelimit_token_remaining="0"), "not_processed", 3600),
        (says(429, {}, retry_after="5", x_ratelimit_reset="2"), "not_processed", 5),
        (says(429, {}, x_ratelimit_reset="99999999"), "not_processed", 3600),
        (says(429, {}, x_ratelimit_reset="soon"), "not_processed", None),
        (says(500, {}), "in_doubt", None),
        (says(501, {}), "in_doubt", None),
        (says(503, {}), "in_doubt", None),
        ((502, {}, b"<html>"), "in_doubt", None),
        ((302, {"location": "https://x/"}, b""), "permanent", None),
        ((200, {}, b"<html>"), "in_doubt", None),
        ((200, {}, b""), "in_doubt", None),
        (says(200, {"success": True}), "in_doubt", None),
        (says(200, {"success": True, "data": {"id": True}}), "in_doubt", None),
        (says(200, {"success": True, "data": [{"id": 4}]}), "in_doubt", None),
    ],
)
@each_of("action", ACTIONS)
def test_each_answer_to_a_creation_has_its_verdict(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    said: Said,
    verdict: str,
    wait_s: float | None,
) -> None:
    far.says(*BEFORE[action], said)
    outcome = adapter(far, transport).perform(call(action, ACTIONS[action]))
    assert (outcome.verdict, outcome.status) == (verdict, said[0])
    assert (outcome.retry_after_s, outcome.provider_ref) == (wait_s, None)
    assert outcome.message.startswith(f"Pipedrive answered {said[0]}")
    assert far.seen[-1].method == "POST"


@pytest.mark.parametrize("action", ["create_deal", "add_note"])
@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_permanent(
    far: Far, transport: GuardedTransport, call: Calls, action: str, status: int
) -> None:
    far.says(says(status, {"success": False, "error": "Deal not found"}))
    assert (
        adapter(far, transport).perform(call(action, ACTIONS[action])).verdict is Verdict.PERMANENT
    )


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (says(401, {}), "blocked"),
        (says(402, {}), "blocked"),
        (says(429, {}), "not_processed"),
        (says(500, {}), "not_processed"),
        (says(502, {}), "not_processed"),
        ((200, {}, b"<html>"), "not_processed"),
        (data({"items": [5]}), "not_processed"),
        (data({"items": [{"item": {"id": "x"}}]}), "not_processed"),
        (data([5]), "not_processed"),
        (says(200, []), "not_processed"),
    ],
)
@pytest.mark.parametrize("before", [[], [NOBODY]], ids=["search", "latest"])
@each_of("action", ACTIONS)
def test_what_goes_wrong_while_reading_is_no_doubt(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    before: list[Said],
    said: Said,
    verdict: str,
) -> None:
    far.says(*before, said)
    parameters = ACTIONS[action] | ({} if action == "upsert_person" else {"person": EMAIL})
    outcome = adapter(far, transport).perform(call(action, parameters))
    assert (outcome.verdict, outcome.provider_ref) == (verdict, None)
    assert {seen.method for seen in far.seen} == {"GET"}


class Breaking:
    """Answers what it is told; then the line breaks."""

    def __init__(self, *answers: Said) -> None:
        self._answers = [Answer(*said) for said in answers]

    def send(self, *_: Any, **__: Any) -> Answer:
        if self._answers:
            return self._answers.pop(0)
        raise AnswerLost("gone")


@pytest.mark.parametrize("action", ACTIONS)
def test_an_answer_lost_is_doubt_only_once_something_was_written(
    far: Far, call: Calls, action: str
) -> None:
    with pytest.raises(AnswerLost):
        adapter(far, Breaking(*BEFORE[action])).perform(call(action, ACTIONS[action]))
    parameters = ACTIONS[action] | ({} if action == "upsert_person" else {"person": EMAIL})
    for read in ([], [NOBODY]):
        with pytest.raises(NotSent):
            adapter(far, Breaking(*read)).perform(call(action, parameters))


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("upsert_person", {}),
        ("upsert_person", {"email": "jane"}),
        ("upsert_person", {"email": "a@b\r\nc"}),
        ("upsert_person", {"email": EMAIL, "fields": {"emails": []}}),
        ("upsert_person", {"email": EMAIL, "fields": {"Name!": 1}}),
        ("upsert_person", {"email": EMAIL, "fields": {CUSTOM: float("nan")}}),
        ("upsert_person", {"email": EMAIL, "fields": []}),
        ("create_deal", {}),
        ("create_deal", {"title": " "}),
        ("create_deal", {"title": "x", "person": "jane"}),
        ("create_deal", {"title": "x", "person": 0}),
        ("create_deal", {"title": "x", "person": True}),
        ("create_deal", {"title": "x", "amount": 5}),
        ("create_deal", {"title": "x", "currency": "EUR"}),
        ("create_deal", {"title": "x", "amount": 5.5, "currency": "EUR"}),
        ("create_deal", {"title": "x", "amount": -5, "currency": "EUR"}),
        ("create_deal", {"title": "x", "amount": 10**15, "currency": "EUR"}),
        ("create_deal", {"title": "x", "amount": 5, "currency": "EURO"}),
        ("create_deal", {"title": "x", "stage": "New"}),
        ("add_note", {"content": "x"}),
        ("add_note", {"content": "x", "person": 1, "deal": 2}),
        ("add_note", {"content": " ", "deal": 2}),
        ("add_note", {"content": "x", "deal": "../1"}),
    ],
)
def test_what_cannot_be_sent_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, action: str, parameters: Any
) -> None:
    far.says(NOBODY, NONE_LATELY, CREATED)
    with pytest.raises(InvalidParameters):
        adapter(far, transport).perform(call(action, parameters))
    assert all(seen.method == "GET" for seen in far.seen)


def test_the_message_holds_no_address_no_number_and_no_token(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    said = {"success": False, "error": f"{EMAIL} +44 20 7946 0000 {TOKEN}", "error_info": "see"}
    far.says(says(400, said))
    message = adapter(far, transport).perform(call("create_deal", DEAL)).message
    assert message == "Pipedrive answered 400: [e-mail] [phone] ***"


RECENT, OLD = "2026-11-20T12:00:01Z", "2026-11-20T11:59:59Z"
DEAL_ROW = {"title": "Roof", "person_id": 5, "value": 1234.56, "currency": "EUR"}


@pytest.mark.parametrize(
    ("answers", "verdict", "ref"),
    [
        ([KNOWN, data({"id": 7, "update_time": RECENT})], LookupVerdict.THERE, "7"),
        ([KNOWN, data({"id": 7, "update_time": OLD})], LookupVerdict.NOT_THERE, None),
        ([KNOWN, data({"id": 7})], LookupVerdict.CANNOT_TELL, None),
        ([KNOWN, says(500, {})], LookupVerdict.CANNOT_TELL, None),
        ([NOBODY, data([{"id": 8, "emails": [{"value": EMAIL}]}])], LookupVerdict.THERE, "8"),
        ([NOBODY, data([{"id": 8, "emails": [{"value": "x@y.z"}]}])],
         LookupVerdict.NOT_THERE, None),
        ([NOBODY, data([], additional_data={"next_cursor": "c"}),
          data([{"id": 8, "emails": [{"value": EMAIL}]}])], LookupVerdict.THERE, "8"),
        ([NOBODY, data([], additional_data={"next_cursor": "c"})], LookupVerdict.CANNOT_TELL, None),
        ([NOBODY, says(429, {})], LookupVerdict.CANNOT_TELL, None),
        ([says(401, {})], LookupVerdict.CANNOT_TELL, None),
    ],
)  # fmt: skip
def test_a_person_is_looked_up(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    answers: list[Said],
    verdict: LookupVerdict,
    ref: str | None,
) -> None:
    far.says(*answers)
    lookup_result = adapter(far, transport).look_up(call("upsert_person", JANE), NOW)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (verdict, ref)
    assert EMAIL not in lookup_result.message
    assert {seen.method for seen in far.seen} == {"GET"}


@pytest.mark.parametrize(
    ("rows", "marker", "verdict", "ref"),
    [
        ([{"id": 1, "custom_fields": {MARKER: ATTEMPT}}], MARKER, LookupVerdict.THERE, "1"),
        ([{"id": 1, **DEAL_ROW, "add_time": RECENT}], MARKER, LookupVerdict.NOT_THERE, None),
        (
            [{"id": 1, "custom_fields": {MARKER: ATTEMPT + "0"}}],
            MARKER,
            LookupVerdict.NOT_THERE,
            None,
        ),
        ([{"id": 1, **DEAL_ROW, "add_time": RECENT}], "", LookupVerdict.THERE, "1"),
        (
            [{"id": n, **DEAL_ROW, "add_time": RECENT} for n in (1, 2)],
            "",
            LookupVerdict.CANNOT_TELL,
            None,
        ),
        (
            [{"id": 1, **DEAL_ROW, "add_time": "2026-11-19T12:00:00Z"}],
            "",
            LookupVerdict.NOT_THERE,
            None,
        ),
        (
            [{"id": 1, **DEAL_ROW, "value": 1, "add_time": RECENT}],
            "",
            LookupVerdict.NOT_THERE,
            None,
        ),
        (
            [{"id": 1, **DEAL_ROW, "person_id": 6, "add_time": RECENT}],
            "",
            LookupVerdict.NOT_THERE,
            None,
        ),
        ([], "", LookupVerdict.NOT_THERE, None),
    ],
)
def test_a_deal_is_looked_up(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    rows: list[dict[str, Any]],
    marker: str,
    verdict: LookupVerdict,
    ref: str | None,
) -> None:
    far.says(data(rows))
    one = adapter(far, transport, marker_field=marker)
    lookup_result = one.look_up(call("create_deal", DEAL, attempt_id=ATTEMPT), NOW)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (verdict, ref)
    assert query(far, 0)["updated_since"] == "2026-11-20T11:55:00Z"


def test_a_deal_of_nobody_cannot_be_told(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(data([]), NOBODY, NONE_LATELY)
    lookup_result = adapter(far, transport).look_up(
        call("create_deal", DEAL | {"person": EMAIL}), NOW
    )
    assert lookup_result.verdict is LookupVerdict.CANNOT_TELL


NOTE: dict[str, Any] = {"id": 4, "content": f"Called.<br><br>hub_attempt: {ATTEMPT}"}
MORE = {"pagination": {"more_items_in_collection": True}}


@pytest.mark.parametrize(
    ("answers", "verdict", "ref"),
    [
        ([data([NOTE])], LookupVerdict.THERE, "4"),
        (
            [data([{"id": 5, "content": "x"}], additional_data=MORE), data([NOTE])],
            LookupVerdict.THERE,
            "4",
        ),
        ([data([{"id": 5, "content": NOTE["content"] + "0"}])], LookupVerdict.NOT_THERE, None),
        ([data(None)], LookupVerdict.NOT_THERE, None),
        (
            [data([{"id": 5, "content": "x"}], additional_data=MORE)],
            LookupVerdict.CANNOT_TELL,
            None,
        ),
        ([says(200, {"success": False, "data": None})], LookupVerdict.CANNOT_TELL, None),
        ([says(500, {})], LookupVerdict.CANNOT_TELL, None),
    ],
)
def test_a_note_is_looked_up(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    answers: list[Said],
    verdict: LookupVerdict,
    ref: str | None,
) -> None:
    far.says(*answers)
    asked = call("add_note", ACTIONS["add_note"], attempt_id=ATTEMPT)
    lookup_result = adapter(far, transport).look_up(asked, NOW + timedelta(seconds=1))
    assert (lookup_result.verdict, lookup_result.provider_ref) == (verdict, ref)
    assert query(far, 0)["person_id"] == "5"
    assert query(far, 0)["start_date"] == "2026-11-20"


@pytest.mark.parametrize(
    "items", [True, 7, "x", None, 0, {"a": 1}, {}, [None], [{}], [{"item": 7}]]
)
def test_a_search_that_is_no_list_cannot_tell(
    far: Far, transport: GuardedTransport, call: Calls, items: Any
) -> None:
    far.says(data({"items": items}))
    one = adapter(far, transport)
    assert one.look_up(call("upsert_person", JANE), NOW).verdict is LookupVerdict.CANNOT_TELL
    assert one.perform(call("upsert_person", JANE)).verdict is Verdict.NOT_PROCESSED
    assert {seen.method for seen in far.seen} == {"GET"}


@pytest.mark.parametrize("cursor", ["\ud800", "a b", 7, {"a": 1}])
def test_a_list_that_goes_on_where_nobody_can_read_cannot_tell(
    far: Far, transport: GuardedTransport, call: Calls, cursor: Any
) -> None:
    far.says(data([], additional_data={"next_cursor": cursor}), data([]))
    assert adapter(far, transport).look_up(call("create_deal", DEAL), NOW).verdict is (
        LookupVerdict.CANNOT_TELL
    )
    assert len(far.seen) == 1


def test_an_answer_lost_while_looking_up_is_no_doubt(far: Far, call: Calls) -> None:
    for action, parameters in ACTIONS.items():
        with pytest.raises(NotSent):
            adapter(far, Breaking()).look_up(call(action, parameters), NOW)


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (data([]), True, "accepts the token"),
        (says(401, {}), False, "API token of a user into `api_token`"),
        (says(402, {}), False, "billing"),
        (says(403, {}), False, "Permission sets"),
        ((403, {}, b"<html>"), False, "some minutes"),
        (says(404, {}), False, "base_url"),
        (says(429, {}), False, "try again later"),
        (says(503, {}), False, "try again later"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = adapter(far, transport).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert requests_of(far) == [("GET", "/api/v2/persons")] * (TRIES if said[0] >= 500 else 1)


def test_all_its_actions_are_at_most_once_and_can_be_looked_up() -> None:
    actions = PipedriveOutbound.actions
    assert set(actions) == set(ACTIONS)
    assert {action.effect for action in actions.values()} == {Effect.AT_MOST_ONCE}
    assert all(action.supports_lookup for action in actions.values())


@pytest.mark.parametrize(
    "settings",
    [
        {"company": "acme.pipedrive.com"},
        {"company": "evil.example/"},
        {"company": "-x"},
        {"api_token": "a\r\nb"},
        {"api_token": "é"},
        {"marker_field": "hub_attempt"},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PipedriveOutbound.settings_schema().load(settings)


def test_what_it_needs_to_be_live() -> None:
    assert PipedriveOutbound.secrets == ("api_token",)
    assert PipedriveOutbound.missing({}) == [("api_token",), ("company", "base_url")]
    assert PipedriveOutbound.missing({"api_token": "x", "base_url": "https://x"}) == []
    assert PipedriveOutbound.missing({"api_token": "x", "company": "acme"}) == []


def test_the_company_is_the_host(call: Calls) -> None:
    urls = []

    class Noting(Breaking):
        def send(self, method: str, url: str, **_: Any) -> Answer:
            urls.append(url)
            return Answer(200, {}, b'{"data": {"id": 1}}')

    PipedriveOutbound({"api_token": "x", "company": " Acme "}, Noting()).perform(
        call("create_deal", {"title": "x"})
    )
    assert urls == ["https://acme.pipedrive.com/api/v2/deals"]
