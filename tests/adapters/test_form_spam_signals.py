"""Spam signals of a submission: the trap, the links, the text, the number, the challenge."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.contract.form_inbound import Signals
from adapters.form.inbound import Form
from adapters.form.submission import JSON, URLENCODED
from tests.adapters.posting import posted
from tests.adapters.submitting import GOOD, form, parsed


def signals(on: Form | None = None, **values: Any) -> Signals:
    body = urlencode(GOOD | values, doseq=True).encode()
    form_of = on or form()
    return form_of.signals(form_of.read(posted(body, {"content-type": URLENCODED})))


def test_of_a_plain_post_nothing_is_suspected() -> None:
    assert signals(name="Jane", message="It leaks.") == Signals(
        honeypot=False, after_s=None, links=0, text="jane it leaks.", phone=None, challenge=None
    )


@pytest.mark.parametrize(
    ("settings", "name"), [({}, "_gotcha"), ({"honeypot": "website"}, "website")]
)
def test_what_fills_in_the_trap_is_told_and_is_a_lead_without_it(
    settings: dict[str, str], name: str
) -> None:
    """B77."""
    on = form(**settings)
    assert signals(on, **{name: "x"}).honeypot
    assert signals(on, **{name: ["x", "y"]}).honeypot
    assert not signals(on, **{name: ""}).honeypot
    event = parsed(urlencode(GOOD | {name: "\x00" * 9000}).encode(), on=on)
    assert event.type == "lead.submitted"
    assert name not in event.data
    assert event.data["fields"] == GOOD


@pytest.mark.parametrize(("text", "links"), [
    ("no link, no www either, a@b.co", 0), ("see https://a.example and HTTP://b.example", 2),
    ("www.a.example", 1), ("https://www.a.example", 1), ("<a href='http://x'>http://x</a>", 2),
    ("https:// " * 50, 50),
])  # fmt: skip
def test_links_are_counted_in_all_texts(text: str, links: int) -> None:
    assert signals(message=text).links == links
    assert signals(name=text[:500], message="https://a.example").links == links + 1


def test_the_text_is_the_same_however_it_is_spaced_and_written() -> None:
    one = signals(name="Best  Pills", message="Buy\r\n\r\nNOW \u00a0 STRASSE")
    assert one.text == signals(name="best pills", message="buy now stra\u00dfe").text
    assert one.text == "best pills buy now strasse"


def test_the_text_holds_nothing_that_names_the_person() -> None:
    assert signals(phone="+12125550123").text == ""


@pytest.mark.parametrize(("typed", "phone"), [
    ("+1 212 555 0123", "+12125550123"), ("212 555 0123", None), ("call me", None),
])  # fmt: skip
def test_the_phone_is_one_that_says_its_country(typed: str, phone: str | None) -> None:
    assert signals(phone=typed).phone == phone


@pytest.mark.parametrize(
    "name", ["cf-turnstile-response", "h-captcha-response", "g-recaptcha-response"]
)
def test_the_answer_of_a_challenge_is_found_under_each_name(name: str) -> None:
    assert signals(**{name: "tok"}).challenge == "tok"
    assert signals(**{name: ""}).challenge is None
    assert signals(**{name: "x" * 9000}).challenge is None


@pytest.mark.parametrize("value", [1, True, [], {}, ["a"], {"a": 1}, None])
def test_signals_of_whatever_json_says_are_made(value: Any) -> None:
    names = ("name", "message", "phone", "_token", "_gotcha", "g-recaptcha-response")
    body = json.dumps(GOOD | dict.fromkeys(names, value)).encode()
    on = form()
    assert on.signals(on.read(posted(body, {"content-type": JSON}))).challenge is None


def test_nothing_a_person_typed_stands_in_its_representation() -> None:
    shown = repr(signals(message="private words", phone="+12125550123"))
    assert "private" not in shown
    assert "212" not in shown
