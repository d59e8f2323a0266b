"""The providers' OpenAPI files refuse what the providers would refuse."""

import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.adapters.openapi import FIXTURES, FORM, Specification

ACCOUNT = "AC" + "0a" * 16
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
BASIC = {"Authorization": "Basic eDp5"}
BEARER = {"Authorization": "Bearer SG.x", "Content-Type": "application/json"}
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "jane@example.com"}], "custom_args": {"any": "x"}}],
    "from": {"email": "hello@acme.example", "name": "Acme"},
    "subject": "Receipt",
    "content": [{"type": "text/plain", "value": "Thank you."}],
}


@cache
def specification(name: str) -> Specification:
    return Specification(FIXTURES / name)


def text(base: str = "https://api.twilio.com", path: str = MESSAGES, **fields: Any) -> None:
    body = urlencode({"To": "+12025550123", "Body": "Hello"} | fields, doseq=True).encode()
    headers = BASIC | {"Content-Type": f"{FORM}; charset=utf-8"}
    specification("twilio/twilio_messages_v2010.json").check("POST", base + path, headers, body)


def mail(body: Any, method: str = "POST", headers: dict[str, str] = BEARER) -> None:
    specification("sendgrid/tsg_mail_v3.json").check(
        method, "http://127.0.0.1:8123/v3/mail/send", headers, json.dumps(body).encode()
    )


@pytest.mark.parametrize("base", ["https://api.twilio.com", "http://127.0.0.1:9/a/prefix"])
def test_a_good_form_passes_wherever_the_server_is(base: str) -> None:
    text(base, MediaUrl=["https://a.example/1", "https://a.example/2"], ValidityPeriod=60)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Boddy": "Hello"}, "the field Boddy is not in the file"),
        ({"ValidityPeriod": "soon"}, "integer"),
        ({"MessagingServiceSid": "MG1"}, "does not match"),
        ({"ContentRetention": "shred"}, "shred"),
    ],
)
def test_a_wrong_field_of_a_form_is_named(fields: dict[str, str], words: str) -> None:
    with pytest.raises(AssertionError, match=f"POST /2010.*{words}"):
        text(**fields)


def test_a_missing_field_a_wrong_path_and_a_wrong_media_type_are_refused() -> None:
    twilio = specification("twilio/twilio_messages_v2010.json")
    url = "https://api.twilio.com" + MESSAGES
    with pytest.raises(AssertionError, match="'To' is a required property"):
        twilio.check("POST", url, BASIC | {"content-type": FORM}, b"Body=Hello")
    with pytest.raises(AssertionError, match="application/json"):
        twilio.check("POST", url, BASIC | {"content-type": "application/json"}, b"{}")
    with pytest.raises(AssertionError, match="no such operation"):
        text(path=MESSAGES + ".x")
    with pytest.raises(AssertionError, match="no such operation"):
        twilio.check("PUT", url, BASIC)
    with pytest.raises(AssertionError, match="AccountSid"):
        text(path=MESSAGES.replace(ACCOUNT, "AC1"))


def test_without_credentials_nothing_fits() -> None:
    with pytest.raises(AssertionError, match="Security"):
        mail(MAIL, headers={"Content-Type": "application/json"})


def test_query_parameters_are_known_and_of_their_type() -> None:
    twilio = specification("twilio/twilio_messages_v2010.json")
    url = "https://api.twilio.com" + MESSAGES
    twilio.check(
        "GET", f"{url}?To=%2B12025550123&PageSize=50&DateSent%3E=2026-11-20T12%3A00%3A00Z", BASIC
    )
    with pytest.raises(AssertionError, match="the query parameter PageSzie is not in the file"):
        twilio.check("GET", f"{url}?PageSzie=50", BASIC)
    with pytest.raises(AssertionError, match="PageSize"):
        twilio.check("GET", f"{url}?PageSize=many", BASIC)


def test_a_good_json_body_passes_and_open_objects_stay_open() -> None:
    mail(MAIL)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": 7}, r"subject: 7 is not of type 'string'"),
        ({"subjet": "Receipt"}, "subjet"),
        ({"from": {"name": "Acme"}}, "from: 'email' is a required property"),
        ({"personalizations": [{"subject": "Receipt"}]}, "'to' is a required property"),
        ({"personalizations": [{"to": [{"emial": "jane@example.com"}]}]}, "emial"),
    ],
)
def test_a_wrong_field_of_a_json_body_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError, match=f"POST /v3/mail/send: .*{words}"):
        mail(MAIL | change)


def test_answers_are_held_against_the_file_too() -> None:
    twilio = specification("twilio/twilio_messages_v2010.json")
    url = "http://127.0.0.1:9" + MESSAGES
    kind = {"content-type": "application/json"}
    example = twilio.answer("POST", url, 201)
    twilio.check_answer("POST", url, 201, kind, example)
    broken = json.dumps(json.loads(example) | {"status": "gone"}).encode()
    with pytest.raises(AssertionError, match=r"answering 201: .*status"):
        twilio.check_answer("POST", url, 201, kind, broken)
    with pytest.raises(AssertionError, match="answering 204"):
        twilio.check_answer("POST", url, 204, {}, b"")
    with pytest.raises(LookupError, match="no example of 204"):
        twilio.answer("POST", url, 204)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.json")), ids=lambda p: p.stem)
def test_every_file_can_be_read(path: Any) -> None:
    with pytest.raises(AssertionError, match="no such operation"):
        Specification(path).check("GET", "https://api.example/no/such/path")
