"""Captchas: only the provider's clear yes is a proof; every other answer or failure is a doubt."""

import json
import logging
import socket
import time
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest

import hub.gateways.captcha as captchas
from adapters import Answer, AnswerLost, NotSent
from hub.core.configuration import Captcha
from hub.gateways.captcha import ADDRESSES, Captchas
from hub.gateways.http.transport import GuardedTransport
from tests.gateways.servers import http_server, raw_server
from tests.timing import NEVER_S, soon

SECRET = "0x4AAAAAAA-the-secret-of-a-form"
YES = b'{"success": true}'
GIVEN = "what-the-widget+said &"


@pytest.fixture
def far():
    with http_server() as far:
        yield far


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the pauses before a check is repeated, and wait for none."""
    noted: list[float] = []
    monkeypatch.setattr(GuardedTransport, "pause", lambda _, seconds: noted.append(seconds))
    return noted


def doubt(url: str, given: str | None = GIVEN, kind: str = "turnstile") -> str | None:
    return Captchas(allow_private=True).doubt(Captcha(kind, SECRET, url), given)


def answer(**told: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, json.dumps(told).encode()


@pytest.mark.parametrize("kind", list(ADDRESSES))
def test_a_right_answer_is_a_proof_and_the_provider_is_told_no_more_than_it_needs(
    far, kind
) -> None:
    far.says(answer(success=True))
    assert doubt(far.url, kind=kind) is None
    [seen] = far.seen
    told = parse_qs(seen.body.decode())
    if kind == "turnstile":
        assert UUID(told.pop("idempotency_key")[0]).version == 4
    assert told == {"secret": [SECRET], "response": [GIVEN]}
    assert seen.method == "POST"
    assert SECRET not in seen.path


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (answer(success=False), "answered wrongly"),
        (answer(success="true"), "answered wrongly"),
        (answer(success=1), "answered wrongly"),
        (answer(success=False, **{"error-codes": ["timeout-or-duplicate"]}), "answered wrongly"),
        (answer(success=False, **{"error-codes": ["invalid-input-secret"]}), "refuses the form's"),
        (answer(success=False, **{"error-codes": "x"}), "answered wrongly"),
        (answer(), "gave no answer"),
        ((200, {}, b"[]"), "gave no answer"),
        ((200, {}, b"<html>"), "gave no answer"),
        ((500, {}, b""), "gave no answer"),
        ((302, {"location": "http://127.0.0.1/"}, b""), "gave no answer"),
    ],
)
def test_everything_else_is_a_doubt(far, said, expected, caplog) -> None:
    far.says(said)
    with caplog.at_level(logging.DEBUG):
        why = doubt(far.url)
    assert why is not None
    assert why.startswith("captcha: ")
    assert expected in why
    assert SECRET not in why + caplog.text
    assert GIVEN not in why + caplog.text


@pytest.mark.parametrize(
    ("kind", "score", "proof"),
    [("recaptcha", 0.9, True), ("recaptcha", 0.5, True), ("recaptcha", 0.4, False),
     ("hcaptcha", 0.1, True)],
)  # fmt: skip
def test_a_low_score_of_recaptcha_is_a_doubt(far, kind, score, proof) -> None:
    """Scores of hCaptcha mean the opposite: 0 is no risk."""
    far.says(answer(success=True, score=score))
    assert (doubt(far.url, kind=kind) is None) is proof


@pytest.mark.parametrize("given", [None, "", "x" * 9000])
def test_what_was_not_answered_is_asked_of_nobody(far, given) -> None:
    assert doubt(far.url, given) == "captcha: it was not answered"
    assert far.seen == []


def test_a_provider_that_is_not_there_is_a_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    assert doubt(url) == "captcha: its provider could not be reached"


def test_a_provider_that_says_nothing_is_waited_for_no_longer_than_it_is_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert captchas.TIMEOUT_S == 3
    monkeypatch.setattr(captchas, "TIMEOUT_S", 0.3)
    with raw_server(lambda _: time.sleep(NEVER_S)) as url, soon():
        assert doubt(f"{url}/") == "captcha: its provider could not be reached"


PASSING = [(500, {}, b""), (503, {}, b""), (429, {"retry-after": "1"}, b"")]


@pytest.mark.parametrize("said", PASSING)
def test_turnstile_is_asked_again_with_the_same_key(far, said, pauses) -> None:
    far.says(said, said, answer(success=True))
    assert doubt(far.url) is None
    first, *others = [parse_qs(seen.body.decode()) for seen in far.seen]
    assert others == [first, first]
    assert len(pauses) == 2
    far.says(answer(success=True))
    assert doubt(far.url) is None
    assert parse_qs(far.seen[0].body.decode())["idempotency_key"] != first["idempotency_key"]


@pytest.mark.parametrize("kind", ["hcaptcha", "recaptcha"])
@pytest.mark.parametrize("said", PASSING)
def test_the_others_are_asked_once_since_a_token_is_good_once(far, kind, said, pauses) -> None:
    far.says(said, answer(success=True))
    assert doubt(far.url, kind=kind) == "captcha: its provider gave no answer"
    assert (len(far.seen), pauses) == (1, [])


@pytest.mark.parametrize(("kind", "proof"), [("turnstile", True), ("hcaptcha", False)])
def test_a_lost_answer_is_asked_for_again_of_turnstile_alone(far, kind, proof, monkeypatch) -> None:
    send, lost = GuardedTransport.send, [AnswerLost("the connection broke")]

    def lose_one(self: GuardedTransport, *given: Any, **named: Any) -> Answer:
        found = send(self, *given, **named)
        if lost:
            raise lost.pop()
        return found

    monkeypatch.setattr(GuardedTransport, "send", lose_one)
    far.says(answer(success=True))
    assert (doubt(far.url, kind=kind) is None) is proof
    assert len(far.seen) == (2 if proof else 1)


@pytest.mark.parametrize("kind", list(ADDRESSES))
def test_a_check_that_was_not_sent_is_sent_again(kind, monkeypatch, pauses) -> None:
    ends: list[Any] = [NotSent("refused"), NotSent("refused"), Answer(200, {}, YES)]

    def send(*_: Any, **__: Any) -> Answer:
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr(GuardedTransport, "send", send)
    assert doubt("http://127.0.0.1:1", kind=kind) is None
    assert len(pauses) == 2


def test_a_private_address_is_not_called_unless_that_is_allowed(far) -> None:
    why = Captchas(allow_private=False).doubt(Captcha("turnstile", SECRET, far.url), GIVEN)
    assert why == "captcha: its provider could not be reached"
    assert far.seen == []


def test_a_secret_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(Captcha("turnstile", SECRET))
