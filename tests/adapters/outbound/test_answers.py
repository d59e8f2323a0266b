"""The shared reading of answers: verdicts, Retry-After, and words that are safe to log."""

from datetime import UTC, datetime

import pytest

from adapters import Answer, Verdict
from adapters.contract.answers import read_answer, read_object, read_retry_after, safe_words

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        (Verdict.SUCCEEDED, [200, 201, 202, 204, 299]),
        (Verdict.PERMANENT, [300, 301, 302, 304, 307, 308, 400, 402, 404, 405, 409, 410, 413, 422]),
        (Verdict.BLOCKED, [401, 403]),
        (Verdict.NOT_PROCESSED, [408, 425, 429]),
        (Verdict.IN_DOUBT, [500, 501, 502, 503, 504, 520, 524, 599, 100, 101, 600, 999]),
    ],
)
def test_every_status_has_a_verdict(verdict: Verdict, statuses: list[int]) -> None:
    for status in statuses:
        outcome = read_answer(Answer(status, {}, b""), provider="Acme", now=NOW)
        assert (outcome.verdict, outcome.status) == (verdict, status)


def test_a_redirect_says_what_to_do() -> None:
    outcome = read_answer(Answer(302, {"location": "http://x/"}, b""), provider="Acme", now=NOW)
    assert outcome.message == (
        "Acme answered 302; the hub follows no redirects: put the final address into `url`"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3),
        ("3600", 3600),
        ("0", 0),
        ("1.5", 1.5),
        (" 7 ", 7),
        ("99999999", 99999999),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Friday, 20-Nov-26 12:01:00 GMT", 60),
        ("Fri, 20 Nov 2026 11:59:30 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1_000", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("3 seconds", None),
        ("9" * 400, None),
        ("Fri, 99 Nov 2026 12:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251607124799),
    ],
)
def test_retry_after_is_seconds_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert read_retry_after(Answer(429, {"retry-after": text}, b""), NOW) == seconds


def test_the_answers_own_wait_comes_before_the_provider_s_usual_one() -> None:
    told = Answer(429, {"retry-after": "3"}, b"")
    silent = Answer(429, {}, b"")
    assert read_answer(told, provider="A", now=NOW, retry_after_s=10).retry_after_s == 3
    assert read_answer(silent, provider="A", now=NOW, retry_after_s=10).retry_after_s == 10
    assert read_answer(silent, provider="A", now=NOW).retry_after_s is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Existing ID: 123", "Existing ID: 123"),
        ("a\x00b\r\nc\x1b[31m\u2028d", "a b c [31m d"),
        ("no jane.doe+x@example.org here", "no [e-mail] here"),
        ("/contacts/jane%40example.org?x", "/contacts/[e-mail]?x"),
        ("to +1 (555) 010-0199.", "to [phone]."),
        ("to +15550100199", "to [phone]"),
        ("to (555) 010-0199", "to [phone]"),
        ("id 0190f1c2-7a3b-7c11-8000-0123456789ab", "id 0190f1c2-7a3b-7c11-8000-0123456789ab"),
        ("bad key sk_live_1 sk_live_1", "bad key *** ***"),
        ("x" * 500, "x" * 299 + "…"),
    ],
)
def test_words_are_one_line_bounded_and_without_people_or_secrets(text: str, words: str) -> None:
    assert safe_words(text, ["sk_live_1", ""]) == words


def test_a_long_answer_is_masked_in_no_time() -> None:
    assert len(safe_words("1" * 1_000_000 + "a@" * 100_000)) <= 300


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a":', b"\xff", b"1", b"[" * 100_000])
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert read_object(Answer(200, {}, body)) is None
