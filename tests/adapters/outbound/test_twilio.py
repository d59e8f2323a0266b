"""The twilio destination: what is sent, and what each answer means."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from adapters import (
    Answer,
    AnswerLost,
    Call,
    Effect,
    InvalidParameters,
    NotSent,
    Verdict,
)
from adapters.contract.errors import AdapterError
from adapters.twilio.answers import VERDICTS
from adapters.twilio.outbound import TwilioOutbound
from adapters.twilio.send import SendParameters
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    API,
    ATTEMPT,
    MEDIA,
    SENDER,
    SERVICE,
    SPECIFICATION,
    TAKEN,
    TEMPLATE,
    TEXT,
    TO,
    TOKEN,
    Said,
    made,
    says,
)
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]


def error(status: int, code: int | None = None, message: str = "no", **headers: str) -> Said:
    return says(status, {"code": code, "message": message, "status": status}, **headers)


def fields_of(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True)


def send(call: Calls, **parameters: Any) -> Call:
    given = {"to": TO, "body": TEXT} | parameters
    return call("send", {k: v for k, v in given.items() if v is not None}, attempt_id=ATTEMPT)


def test_the_class_of_the_action() -> None:
    action = TwilioOutbound.actions["send"]
    assert (action.effect, action.supports_lookup) == (Effect.AT_MOST_ONCE, True)
    assert TwilioOutbound.calls_back == "twilio"


@pytest.mark.parametrize(
    "parameters",
    [
        {"to": None},
        {"to": ""},
        {"to": "2025550123"},
        {"to": "+1 202 555 0123"},
        {"to": "+12"},
        {"to": "+02025550123"},
        {"to": f"{TO}\n"},
        {"to": f"{TO}{TO}"},
        {"to": "whatsapp:"},
        {"to": "messenger:123"},
        {"to": "+١٢٠٢٥٥٥٠١٢٣"},
        {"to": 12025550123},
        {"body": ""},
        {"body": "  \n\t"},
        {"body": "\u200b\u200d"},
        {"body": None},
        {"body": 5},
        {"body": "x" * 1601},
        {"body": "a\x00"},
        {"body": "a\x1b[1m"},
        {"body": "a\rb"},
        {"body": "a\x85"},
        {"body": "\ud800"},
        {"body": "", "media": MEDIA},
        {"body": None, "media": []},
        {"media": ["http://a.example/1.jpg"]},
        {"media": ["https://user:secret@a.example/1.jpg"]},
        {"media": ["ftp://a.example/1.jpg"]},
        {"media": ["https://a.example/1 2.jpg"]},
        {"media": ["https://a.example/é.jpg"]},
        {"media": "https://a.example/1.jpg"},
        {"media": ["https://a.example/1.jpg"] * 11},
        {"template": TEMPLATE},
        {"body": None, "template": "HX1"},
        {"body": None, "template": TEMPLATE, "media": MEDIA},
        {"variables": {"1": "x"}},
        {"body": None, "template": TEMPLATE, "variables": {"1": ""}},
        {"body": None, "template": TEMPLATE, "variables": {"1": None}},
        {"body": None, "template": TEMPLATE, "variables": {"1": ["x"]}},
        {"body": None, "template": TEMPLATE, "variables": {"1": True}},
        {"body": None, "template": TEMPLATE, "variables": {"1": float("nan")}},
        {"body": None, "template": TEMPLATE, "variables": {"1": 10**5000}},
        {"body": None, "template": TEMPLATE, "variables": {"": "x"}},
        {"from": SENDER},
    ],
)
def test_what_is_no_message_is_refused_and_nothing_is_sent(
    far: Far, transport: GuardedTransport, call: Calls, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters) as refused:
        made(transport, far.url).perform(send(call, **parameters))
    assert far.seen == []
    assert TO not in str(refused.value)
    assert "secret" not in str(refused.value)


@given(st.text(max_size=40))
def test_a_text_is_sent_as_it_is_or_refused(text: str) -> None:
    taken = RecordingTransport(lambda *_: Answer(*TAKEN))
    call = Call("send", {"to": TO, "body": text}, key="k", attempt_id=ATTEMPT, now=NOW)
    try:
        made(taken).perform(call)
    except InvalidParameters:
        assert taken.last is None
        return
    assert taken.last is not None
    assert dict(fields_of(taken.last.body))["Body"] == text.replace("\r\n", "\n")
    assert text.strip()
    once = SendParameters().load({"to": TO, "body": text})
    assert SendParameters().load(once) == once


@pytest.mark.parametrize(("sender", "to"), [("73786", "whatsapp:"), ("ACME", "whatsapp:")])
def test_a_sender_that_whatsapp_does_not_know_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, sender: str, to: str
) -> None:
    with pytest.raises(InvalidParameters, match="WhatsApp"):
        made(transport, far.url, **{"from": sender}).perform(send(call, to=to + TO))
    with pytest.raises(InvalidParameters, match="WhatsApp"):
        made(transport, far.url, **{"from": f"whatsapp:{SENDER}"}).perform(send(call))
    assert far.seen == []


@pytest.mark.parametrize(
    "settings",
    [
        {"account_sid": "SK0123456789abcdef0123456789abcdef"},
        {"account_sid": "AC/../x"},
        {"messaging_service_sid": "AC1"},
        {"from": "2025550123456"},
        {"from": "+1 202 555 0123"},
        {"from": "A name that is too long"},
        {"sender": SENDER},
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TwilioOutbound.settings_schema().load(settings)


def test_without_a_sender_or_credentials_it_plays_in_the_sandbox() -> None:
    whole = {"account_sid": ACCOUNT, "auth_token": TOKEN}
    assert TwilioOutbound.missing(whole) == [("from", "messaging_service_sid")]
    assert TwilioOutbound.missing(whole | {"messaging_service_sid": SERVICE}) == []
    assert TwilioOutbound.missing({"from": SENDER}) == [
        ("account_sid",),
        ("auth_token", "api_key_secret"),
    ]


STATUSES = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
DOCUMENTED = [
    *((code, STATUSES.get(code, 400), verdict) for code, verdict in VERDICTS.items()),
    (20003, 403, Verdict.BLOCKED),
    (21610, 403, Verdict.PERMANENT),
    (21999, 400, Verdict.PERMANENT),
    (None, 400, Verdict.PERMANENT),
    (None, 401, Verdict.BLOCKED),
    (None, 403, Verdict.BLOCKED),
    (None, 429, Verdict.NOT_PROCESSED),
    (None, 302, Verdict.PERMANENT),
    *((code, status, Verdict.IN_DOUBT) for code in (None, 59005) for status in (500, 502, 504)),
]


@pytest.mark.parametrize(("code", "status", "verdict"), DOCUMENTED)
def test_each_code_has_its_verdict_in_either_form_of_errors(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    code: int | None,
    status: int,
    verdict: Verdict,
) -> None:
    problem = {"type": "https://t/", "title": "No", "status": status, "code": code, "detail": "x"}
    for said in (error(status, code), says(status, problem)):
        far.says(said)
        outcome = made(transport, far.url).perform(send(call))
        assert (outcome.verdict, outcome.status) == (verdict, status)
        assert outcome.code == (str(code) if code else None)
        assert outcome.provider_ref is None
        assert len(far.seen) == 1


def test_the_documented_codes_have_the_verdicts_that_they_must_have() -> None:
    permanent = """
        21211 21212 21214 21612 21614 21408 21606 21608 21610 21602 21617 21619 21620 21703 21704
        63016 20404 30450
    """
    assert {VERDICTS[int(code)] for code in permanent.split()} == {Verdict.PERMANENT}
    waiting = {code for code, verdict in VERDICTS.items() if verdict is Verdict.NOT_PROCESSED}
    assert waiting == {20429, 21611, 63018}
    assert (VERDICTS[20003], VERDICTS[20500]) == (Verdict.BLOCKED, Verdict.IN_DOUBT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"sid": "',
        b'{"sid": null}',
        b'{"sid": "CA1"}',
        b'{"sid": 7}',
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_that_cannot_be_read_is_doubt(
    far: Far, transport: GuardedTransport, call: Calls, status: int, body: bytes
) -> None:
    far.says((status, {}, body))
    outcome = made(transport, far.url).perform(send(call))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.IN_DOUBT, None)


def test_an_mms_has_another_sid(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(says(201, {"sid": "MM" + "a" * 32}))
    assert made(transport, far.url).perform(send(call)).provider_ref == "MM" + "a" * 32


def test_how_long_to_wait_is_told(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(error(429, 20429, **{"retry-after": "7"}))
    assert made(transport, far.url).perform(send(call)).retry_after_s == 7


def test_the_message_holds_no_number_and_no_token(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(error(400, 21211, f"The 'To' number {TO} is not valid for {TOKEN}\n"))
    outcome = made(transport, far.url).perform(send(call))
    assert outcome.message == (
        "Twilio answered 400: 21211: The 'To' number [phone] is not valid for ***"
    )


def test_a_lost_answer_is_the_caller_s_to_settle(transport: GuardedTransport, call: Calls) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(AnswerLost):
        made(transport, url).perform(send(call))
    with pytest.raises(NotSent):
        made(transport, url).perform(send(call))


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (says(200, {"sid": ACCOUNT, "status": "active"}), True, "accepts the credentials"),
        (says(200, {"sid": ACCOUNT, "status": "suspended"}), False, "is suspended"),
        (says(200, {"sid": ACCOUNT, "status": "closed"}), False, "is closed"),
        ((200, {}, b"<html>"), False, "base_url"),
        (error(401, 20003), False, "into `auth_token`"),
        (error(403, 20006), False, "may use the API"),
        (error(404, 20404), False, "base_url"),
        (error(429, 20429), False, "try again later"),
        (error(503), False, "try again later"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = made(transport, far.url).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert TOKEN not in probe.message
    assert {(seen.method, seen.path) for seen in far.seen} == {("GET", f"{API}.json")}
    for seen in far.seen:
        SPECIFICATION.check("GET", far.url + seen.path, seen.headers)


def test_the_sandbox_answers_every_call_as_the_specification_does(call: Calls) -> None:
    sandbox = RecordingTransport(made(None).sandbox_answer)  # type: ignore[arg-type]
    one = TwilioOutbound(TwilioOutbound.settings_schema().load({}), sandbox)
    assert one.perform(send(call)).verdict is Verdict.SUCCEEDED
    assert sandbox.last is not None
    assert sandbox.last.url.endswith("/Messages.json")
    assert one.probe().ok
    assert one.look_up(send(call), NOW).verdict == "not_there"


def test_what_a_list_refuses_is_an_adapter_error(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    for said in (error(401, 20003), error(503), says(200, {}), (200, {}, b"[]")):
        far.says(said)
        with pytest.raises(AdapterError):
            made(transport, far.url).look_up(send(call), NOW)
