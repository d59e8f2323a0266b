"""The twilio destination: what is sent, and what each answer means."""

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from twilio.http.http_client import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

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
    MESSAGES,
    SENDER,
    SERVICE,
    SID,
    SPECIFICATION,
    TAKEN,
    TEXT,
    TO,
    TOKEN,
    Said,
    listed,
    made,
    says,
)
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]

CALLBACK = "https://hub.example/webhooks/twilio"
TEMPLATE = "HX" + "c" * 32
MEDIA = ["https://a.example/1.jpg", "https://a.example/2.jpg?x=1&y=2"]
# Each set of settings and parameters, beside what the official library is asked for.
SENDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "text": ({}, {"to": TO, "body": TEXT}, {"from_": SENDER, "body": TEXT}),
    "any text": ({}, {"to": TO, "body": "é 😀\n&=+%"}, {"from_": SENDER, "body": "é 😀\n&=+%"}),
    "media": ({}, {"to": TO, "media": MEDIA}, {"from_": SENDER, "media_url": MEDIA}),
    "text and media": (
        {},
        {"to": TO, "body": TEXT, "media": MEDIA[:1]},
        {"from_": SENDER, "body": TEXT, "media_url": MEDIA[:1]},
    ),
    "a service": (
        {"from": "", "messaging_service_sid": SERVICE},
        {"to": TO, "body": TEXT},
        {"messaging_service_sid": SERVICE, "body": TEXT},
    ),
    "a number of a service": (
        {"messaging_service_sid": SERVICE},
        {"to": TO, "body": TEXT},
        {"messaging_service_sid": SERVICE, "from_": SENDER, "body": TEXT},
    ),
    "whatsapp": (
        {},
        {"to": f"whatsapp:{TO}", "body": TEXT},
        {"from_": f"whatsapp:{SENDER}", "body": TEXT},
    ),
    "whatsapp from whatsapp": (
        {"from": f"whatsapp:{SENDER}"},
        {"to": f"whatsapp:{TO}", "body": TEXT},
        {"from_": f"whatsapp:{SENDER}", "body": TEXT},
    ),
    "a template": (
        {},
        {"to": f"whatsapp:{TO}", "template": TEMPLATE, "variables": {"2": 5, "1": "Zoë"}},
        {
            "from_": f"whatsapp:{SENDER}",
            "content_sid": TEMPLATE,
            "content_variables": '{"1":"Zoë","2":"5"}',
        },
    ),
    "a callback": (
        {"callback_url": CALLBACK},
        {"to": TO, "body": TEXT},
        {"from_": SENDER, "body": TEXT, "status_callback": f"{CALLBACK}?hub_attempt={ATTEMPT}"},
    ),
    "a callback with a query": (
        {"callback_url": f"{CALLBACK}?t=1"},
        {"to": TO, "body": TEXT},
        {"from_": SENDER, "body": TEXT, "status_callback": f"{CALLBACK}?t=1&hub_attempt={ATTEMPT}"},
    ),
}


class Library(HttpClient):
    """Return the request that the official library would have sent."""

    def __init__(self) -> None:
        super().__init__(logger=logging.getLogger("x"), is_async=False)
        self.made: list[tuple[str, str, Any, Any, dict[str, str], Any]] = []

    def request(  # type: ignore[no-untyped-def]
        self, method, url, params=None, data=None, headers=None, auth=None, *_, **__
    ):
        self.made.append((method, url, params, data, headers, auth))
        told: dict[str, Any] = {"sid": SID} if method == "POST" else {"messages": []}
        return Response(201 if method == "POST" else 200, json.dumps(told))


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


@pytest.mark.parametrize("name", SENDS)
def test_what_is_sent_is_what_the_official_library_sends_and_fits_the_specification(
    far: Far, transport: GuardedTransport, call: Calls, name: str
) -> None:
    settings, parameters, asked = SENDS[name]
    far.says(TAKEN)
    one = made(transport, far.url, **settings)
    outcome = one.perform(call("send", parameters, attempt_id=ATTEMPT))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, SID)
    [seen] = far.seen
    SPECIFICATION.check(seen.method, far.url + seen.path, seen.headers, seen.body)
    library = Library()
    Client(ACCOUNT, TOKEN, http_client=library).messages.create(to=parameters["to"], **asked)
    method, url, _, data, headers, (user, password) = library.made[0]
    assert (seen.method, f"https://api.twilio.com{seen.path}") == (method, url)
    pairs = [
        (key, value)
        for key, values in data.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    assert sorted(fields_of(seen.body)) == sorted(pairs)
    for header in ("Accept", "Content-Type"):
        assert seen.headers[header.lower()] == headers[header]
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    assert seen.headers["authorization"] == f"Basic {basic}"


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
    assert TwilioOutbound.missing({"from": SENDER}) == [("account_sid",), ("auth_token",)]


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


def test_a_list_is_asked_for_as_the_official_library_does(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed())
    sent_at = datetime(2026, 11, 20, 11, 58, 5, tzinfo=UTC)
    made(transport, far.url).look_up(send(call), sent_at)
    library = Library()
    messages = Client(ACCOUNT, TOKEN, http_client=library).messages
    after = datetime(2026, 11, 20, 11, 38, 5, tzinfo=UTC)
    messages.page(to=TO, from_=SENDER, date_sent_after=after, page_size=100)
    messages.page(to=TO, from_=SENDER, page_size=100)
    for seen, (method, url, params, _, _, _) in zip(far.seen, library.made, strict=True):
        path, _, query = seen.path.partition("?")
        assert (seen.method, f"https://api.twilio.com{path}") == (method, url)
        assert path == MESSAGES
        assert dict(parse_qsl(query)) == {key: str(value) for key, value in params.items()}
        SPECIFICATION.check("GET", far.url + seen.path, seen.headers)


def test_what_a_list_refuses_is_an_adapter_error(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    for said in (error(401, 20003), error(503), says(200, {}), (200, {}, b"[]")):
        far.says(said)
        with pytest.raises(AdapterError):
            made(transport, far.url).look_up(send(call), NOW)
