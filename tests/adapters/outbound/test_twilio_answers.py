"""Outcomes of Twilio's answers where no code decides, of its probe and of its callbacks."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from marshmallow import ValidationError
from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from adapters import Call, NotSent, Verdict
from adapters.twilio.answers import VERDICTS, code_of
from adapters.twilio.outbound import TwilioOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    JSON,
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
    made,
    says,
)
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]
SMS = {"to": TO, "body": TEXT}
CALLBACK = "https://hub.example/webhooks/twilio"


def error(status: int, code: Any = None, message: Any = "no", **headers: str) -> Said:
    told = {"code": code, "message": message, "more_info": "https://x", "status": status}
    return says(status, told, **headers)


class Refusing(HttpClient):
    """The official library's way out, on which every call is refused with one code."""

    def __init__(self, code: int) -> None:
        self._told = error(400, code)[2].decode()

    def request(self, *args: Any, **more: Any) -> Response:
        return Response(400, self._told)


@pytest.mark.parametrize("code", VERDICTS)
def test_the_official_library_reads_the_same_code(code: int) -> None:
    library = Client(ACCOUNT, TOKEN, http_client=Refusing(code))
    with pytest.raises(TwilioRestException) as caught:
        library.messages.create(TO, body=TEXT)
    assert caught.value.code == code_of(json.loads(error(400, code)[2])) == code


@pytest.mark.parametrize(
    ("said", "verdict", "wait_s"),
    [
        (error(400), "permanent", None),
        (error(400, 99999), "permanent", None),
        ((401, {}, b""), "blocked", None),
        (error(403, 99999), "blocked", None),
        ((403, {}, b"<html>"), "blocked", None),
        ((404, {}, b"<html>"), "permanent", None),
        (error(405, 20004), "permanent", None),
        ((429, {}, b"<html>"), "not_processed", None),
        (error(429, 20429, **{"retry-after": "7"}), "not_processed", 7),
        (error(503, 20503, **{"retry-after": "7"}), "in_doubt", 7),
        (error(500, 99999), "in_doubt", None),
        ((502, {}, b"<html>"), "in_doubt", None),
        ((503, {}, b""), "in_doubt", None),
    ],
)
def test_without_a_known_code_the_status_decides(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: str,
    wait_s: float | None,
) -> None:
    far.says(said)
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert (outcome.verdict, outcome.retry_after_s) == (verdict, wait_s)
    assert outcome.message.startswith(f"Twilio answered {said[0]}")
    assert len(far.seen) == 1


@pytest.mark.parametrize("code", [20429, 20503, 20003, 21610, 21611])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_code_in_a_success_takes_no_doubt_away(
    far: Far, transport: GuardedTransport, call: Calls, status: int, code: int
) -> None:
    far.says(error(status, code))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert outcome.verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize("sid", ["SM1", "SM" + "g" * 32, "SM" + "a" * 33, ACCOUNT, "", [], 7])
def test_what_is_no_sid_of_a_message_is_doubt(
    far: Far, transport: GuardedTransport, call: Calls, sid: Any
) -> None:
    far.says(says(201, {"sid": sid, "status": "queued"}))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.IN_DOUBT, None)


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_an_error_with_a_sid_is_an_error(
    far: Far, transport: GuardedTransport, call: Calls, status: int
) -> None:
    far.says(says(status, {"sid": SID, "status": "queued"}))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert outcome.verdict is not Verdict.SUCCEEDED
    assert outcome.provider_ref is None


def test_twilio_s_own_example_of_an_answer_is_understood(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    example = SPECIFICATION.answer("POST", far.url + MESSAGES, 201)
    far.says((201, JSON, example))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.provider_ref == json.loads(example)["sid"]


@pytest.mark.parametrize("code", ["20429", 20429.0, True, [20429], {}, -1, 10**9])
def test_a_code_that_is_none_is_not_used(
    far: Far, transport: GuardedTransport, call: Calls, code: Any
) -> None:
    far.says(error(500, code, {"a": 1}))
    outcome = made(transport, far.url).perform(call("send", SMS))
    assert (outcome.verdict, outcome.code) == (Verdict.IN_DOUBT, None)


@pytest.mark.parametrize("attempt", ["d.1", "d.2", "d&x=1#.3"])
def test_each_attempt_has_its_own_callback(
    far: Far, transport: GuardedTransport, call: Calls, attempt: str
) -> None:
    far.says(TAKEN)
    made(transport, far.url, callback_url=CALLBACK).perform(call("send", SMS, attempt_id=attempt))
    address = dict(parse_qsl(far.seen[0].body.decode()))["StatusCallback"]
    assert address.partition("?")[0] == CALLBACK
    assert parse_qsl(address.partition("?")[2]) == [("hub_attempt", attempt)]


def test_without_a_source_that_takes_them_no_callbacks_are_asked_for(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(TAKEN)
    made(transport, far.url).perform(call("send", SMS))
    assert b"StatusCallback" not in far.seen[0].body


@pytest.mark.parametrize("told", [{}, {"sid": "x"}, {"sid": None}, {"sid": []}, {"status": 1}])
def test_what_is_no_account_is_told(far: Far, transport: GuardedTransport, told: Any) -> None:
    far.says(says(200, told))
    probe = made(transport, far.url).probe()
    assert not probe.ok
    assert "base_url" in probe.message


def test_a_probe_without_an_answer_is_no_doubt(transport: GuardedTransport) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(NotSent):
        made(transport, url).probe()


@pytest.mark.parametrize(
    "settings", [{"callback": "twilio"}, {"callback_url": CALLBACK}, {"token": TOKEN}]
)
def test_what_is_the_hub_s_own_is_no_setting(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        TwilioOutbound.settings_schema().load(settings)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"auth_token": None, "from": SENDER}, [("auth_token", "api_key_secret")]),
        ({"auth_token": TOKEN, "from": " "}, [("from", "messaging_service_sid")]),
        ({"auth_token": TOKEN, "from": "12345"}, []),
        ({"auth_token": TOKEN, "messaging_service_sid": SERVICE}, []),
    ],
)
def test_a_sender_or_a_messaging_service_will_do(settings: dict[str, Any], missing: Any) -> None:
    loaded = TwilioOutbound.settings_schema().load({"account_sid": ACCOUNT} | settings)
    assert TwilioOutbound.missing(loaded) == missing
