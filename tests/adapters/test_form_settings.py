"""Settings of a form's fields; no pattern takes long."""

from typing import Any
from urllib.parse import urlencode

import pytest
from marshmallow import ValidationError

from adapters.form.inbound import Form
from adapters.form.patterns import BadPattern, check_pattern, matcher
from adapters.form.settings import FormSettings
from adapters.form.submission import URLENCODED
from tests.adapters.posting import posted
from tests.adapters.submitting import ORIGIN, form
from tests.timing import little_work


def faults_of(declared: dict[str, Any], **settings: Any) -> Any:
    with pytest.raises(ValidationError) as refused:
        FormSettings().load({"fields": {"it": declared}} | settings)
    return refused.value.normalized_messages()


@pytest.mark.parametrize(("declared", "key"), [
    ({"min": 3, "max": 2}, "min"), ({"min": 0}, "min"), ({"max": "9"}, "max"),
    ({"max": True}, "max"), ({"max": 1.5}, "max"), ({"text": "x"}, "text"),
    ({"choices": ["a"]}, "choices"), ({"pattern": "("}, "pattern"),
    ({"pattern": "(?=a)a"}, "pattern"), ({"pattern": "a", "max": 5000}, "pattern"),
    ({"pattern": "a", "example": "b"}, "example"), ({"example": ""}, "example"),
    ({"max": 3, "example": "four"}, "example"), ({"min": 3, "example": "ab"}, "example"),
    ({"example": " "}, "example"), ({"example": "a\nb"}, "example"), ({"example": 7}, "example"),
    ({"type": "hidden", "example": "a\r\nb"}, "example"),
    ({"type": "phone", "example": "hello"}, "example"), ({"example": "a\x00b"}, "example"),
    ({"pattern": ".+", "example": "\ud800"}, "example"),
    ({"type": "email", "example": "a@b.example"}, "example"),
    ({"type": "email", "pattern": "a"}, "pattern"), ({"type": "choices"}, "type"),
    ({"type": "choices", "choices": ["a"], "max": 2}, "max"),
    ({"type": "number", "max": "x"}, "max"), ({"type": "number", "max": float("inf")}, "max"),
    ({"type": "number", "min": 3, "max": 2.5}, "min"),
    ({"type": "number", "min": float("nan")}, "min"),
    ({"type": "number", "pattern": "1"}, "pattern"),
    ({"type": "date", "min": "1.1.2026"}, "min"), ({"type": "date", "min": 2026}, "min"),
    ({"type": "date", "min": "2026-02-01", "max": "2026-01-01"}, "min"),
    ({"type": "consent"}, "type"), ({"type": "consent", "text": ""}, "text"),
    ({"type": "consent", "text": "x", "max": 3}, "max"),
    ({"type": "hidden", "placeholder": "x"}, "placeholder"),
    ({"type": "file", "max": 11}, "max"), ({"type": "file", "max_bytes": "5 MB"}, "max_bytes"),
    ({"type": "file", "accept": ["pdf"]}, "accept"),
    ({"type": "file", "accept": ["x/y"]}, "accept"),
    ({"type": "file", "accept": []}, "accept"), ({"value": "x"}, "value"),
])  # fmt: skip
def test_what_a_field_cannot_be_is_told_at_its_key(declared: dict[str, Any], key: str) -> None:
    assert faults_of(declared)["fields"]["it"]["value"].keys() == {key}


def test_other_settings_that_cannot_be_meant_are_told_at_their_key() -> None:
    assert faults_of({}, honeypot="it").keys() == {"honeypot"}
    assert faults_of({}, honeypot="_token").keys() == {"honeypot"}
    assert faults_of({}, redirects=["/thanks"]).keys() == {"redirects"}
    assert faults_of({}, redirects=["javascript:alert(1)"]).keys() == {"redirects"}
    assert faults_of({"type": "file", "max": 10, "max_bytes": "5MiB"}).keys() == {"fields"}


def test_a_form_with_files_takes_longer_bodies_and_a_fault_does_not_stop_the_count() -> None:
    files = {"it": {"type": "file", "max": 2, "max_bytes": "3MiB"}}
    loaded = FormSettings().load({"fields": files | {"name": {}}})
    assert Form.longest_body(loaded) == Form.max_bytes + 6 * 1024 * 1024
    assert Form.longest_body({"fields": {"it": {"type": "file", "max": "x"}}}) == Form.max_bytes
    assert Form.longest_body({}) == Form.max_bytes


GOOD = ["[0-9]{5}(-[0-9]{4})?", "[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}", r"\d+(\.\d{2})?",
        "(red|green|blue)", "(?i)ref-[a-f0-9]+", "(abc)*", "[^<>]*", r"\w+ \w+", "",
        "a" * 300, r"\p{L}+", r"a\{,5\}", "[0-9]{,5}", r"[A-Z]\Z", "[{,5}]+",
        r"[A-Za-z\u00C0-\u017F' -]+", "\\\u00e9"]  # fmt: skip
SLOW_ELSEWHERE = ["(a+)+", "(a|aa)*", "(a?){50}", "(.*)*", "(a*a*)*", ".*.*.*.*.*x", "((ab)?c)*",
                  "a{1,200}b{1,200}c{1,200}d{1,200}", ".*.*x", "a*a*a*b", "[ab]*a[ab]*b[ab]*c",
                  r"(\d|1)?(\d|1)?\d*\d*x", r"\w*\w*\w*!", "(x+x+)+y", "(?:.*a.{200}){5}x",
                  "(a?)(a?)(a?)(a?)(a?)(a?)(a?)(a?)a*a*b", "(?:a?){500}a{500}b"]  # fmt: skip
BAD = [
    ("(", r"not a regular expression: missing \), unterminated subpattern at position 0"),
    ("[", "not a regular expression: unterminated character set"),
    ("a{2,1}", "not a regular expression: min repeat greater"),
    ("(?(1)a|b)", "looks around or back"), ("*a", "not a regular expression: nothing to repeat"),
    ("(?=a)a", "looks around or back"), ("(?!a)b", "looks around or back"),
    ("(?<=a)b", "looks around or back"), ("(?<!a)b", "looks around or back"),
    (r"(a)\1", "looks around or back"), ("(?P<n>a)(?P=n)", "looks around or back"),
    ("(a)?(?(1)b|c)", "looks around or back"), ("a++", "RE2 takes: bad repetition"),
    ("a{1001}", "RE2 takes: invalid repet"), (r"\pL{1000}" * 30, "too large: repeat less"),
    ("a" * 301, "at most 300 characters"), ("\ud800", "not valid Unicode"),
]  # fmt: skip


@pytest.mark.parametrize("pattern", GOOD)
def test_usual_patterns_are_taken(pattern: str) -> None:
    check_pattern(pattern, 1000)


@pytest.mark.parametrize(("pattern", "said"), BAD)
def test_what_re2_cannot_match_is_refused_with_a_sentence(pattern: str, said: str) -> None:
    with pytest.raises(BadPattern, match=said):
        check_pattern(pattern, 1000)


def test_a_text_that_is_held_against_a_pattern_has_a_thousand_characters_at_most() -> None:
    check_pattern("a", 1000)
    with pytest.raises(BadPattern, match="needs a `max` of at most 1000"):
        check_pattern("a", 1001)


@pytest.mark.parametrize("pattern", SLOW_ELSEWHERE)
def test_what_is_accepted_is_quick_on_the_worst_texts(pattern: str) -> None:
    check_pattern(pattern, 1000)
    matches = matcher(pattern)
    with little_work():
        for text in ("a" * 999 + "!", "ab" * 500 + "\u20ac", "1" * 999 + " ", "x" * 1000 + "\n"):
            matches(text)


def test_a_pattern_is_matched_from_beginning_to_end_and_in_any_language() -> None:
    assert matcher("[0-9]{5}")("22401")
    assert not matcher("[0-9]{5}")("22401\n")
    assert not matcher("a|ab")("abc")
    assert matcher("a|ab")("ab")
    assert matcher(r"\w+")("M\u00fcller")
    assert matcher(r"[\w' -]+")("Jos\u00e9 O'Neill")
    assert matcher(r"\p{L}+")("M\u00fcller")
    assert matcher("")("")


def test_only_targets_of_the_list_are_gone_to() -> None:
    roof = f"{ORIGIN}/thanks-roof"
    on = form(redirect=f"{ORIGIN}/thanks", redirects=[roof])
    assert on.redirect_origins == [ORIGIN]
    for wanted, target in ((roof, roof), (f"{roof}/", on_default := f"{ORIGIN}/thanks"),
                           ("https://evil.example", on_default), ("", on_default)):  # fmt: skip
        assert next_page(on, wanted) == target
    assert next_page(form(), roof) is None


def next_page(on: Form, wanted: str) -> str | None:
    body = urlencode({"_next": wanted}).encode()
    return on.thanks_page(posted(body, {"content-type": URLENCODED}))
