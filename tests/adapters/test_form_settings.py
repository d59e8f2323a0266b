"""Settings of a form's fields; no pattern takes long."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from marshmallow import ValidationError

from adapters.form.body_size import HEAD_BYTES
from adapters.form.inbound import Form
from adapters.form.patterns import BadPattern, check_pattern, matcher
from adapters.form.settings import FormSettings
from adapters.form.submission import JSON, MULTIPART, URLENCODED
from tests.adapters.posting import posted
from tests.adapters.submitting import ORIGIN, form, parsed
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


FILES = {"it": {"type": "file", "max": 2, "max_bytes": "3MiB"}}
EVERY = FILES | {
    "name": {"max": 300}, "message": {"type": "longtext", "max": 3000}, "mail": {"type": "email"},
    "phone": {"type": "phone"}, "rooms": {"type": "number"}, "start": {"type": "date"},
    "topic": {"type": "choice", "choices": ["a" * 200, "b"]}, "campaign": {"type": "hidden"},
    "extras": {"type": "choices", "choices": ["\U0001f3e0" * 200, *"cdefgh"]},
    "agreed": {"type": "consent", "text": "x"},
}  # fmt: skip
KIB, MIB = 1024, 1024 * 1024


def longest_of(fields: dict[str, Any], max_bytes: int | None = None) -> int:
    return Form.longest_body(FormSettings().load({"fields": fields}), max_bytes)


def test_a_body_may_be_64_kib_larger_than_its_declared_fields_may_be() -> None:
    assert longest_of({"a": {"max": 100}}) == 64 * KIB + 1200 + HEAD_BYTES + 1
    assert longest_of({"a": {"max": 100}, "b": {"max": 100}}) == 64 * KIB + 2 * (1200 + 257)
    assert longest_of(FILES | {"name": {}}) > 64 * KIB + 6 * MIB
    assert longest_of(FILES | {"name": {}}) < 96 * KIB + 6 * MIB
    wrong = {"fields": {"it": {"type": "file", "max": "x"}}}
    assert Form.longest_body(wrong) == Form.longest_body({}) == 64 * KIB


def test_max_bytes_of_the_source_is_what_counts() -> None:
    """Without one of its own, a form takes 512 KiB of texts, and its files."""
    long = {f"f{n}": {"type": "longtext", "max": 100_000} for n in range(3)}
    assert longest_of(long) == Form.max_bytes == 512 * KIB
    assert longest_of(long | FILES) == Form.max_bytes + 6 * MIB
    assert longest_of({"a": {}}) < 128 * KIB
    for fields in (long, long | FILES, {"a": {}}):
        for max_bytes in (4 * KIB, 2 * MIB, 20 * MIB):
            assert longest_of(fields, max_bytes) == max_bytes


@pytest.mark.parametrize("kind", [URLENCODED, JSON, MULTIPART])
def test_a_form_that_is_filled_in_to_the_brim_fits_in_any_encoding(kind: str) -> None:
    fields = EVERY if kind == MULTIPART else {n: one for n, one in EVERY.items() if n != "it"}
    house = "\U0001f3e0"
    values: dict[str, Any] = {
        "name": house * 300, "message": house * 3000, "mail": f"{house * 64}@{house * 60}.example",
        "phone": "1" * 20, "rooms": "1" * 18, "start": "2026-01-01", "topic": "a" * 200,
        "campaign": house * 500, "extras": EVERY["extras"]["choices"], "agreed": house * 200,
    }  # fmt: skip
    if kind == JSON:
        body = json.dumps(values).encode()
    elif kind == URLENCODED:
        body = urlencode(values, doseq=True).encode()
    else:
        boundary = "----WebKitFormBoundary0123456789abcdef"
        kind = f"{MULTIPART}; boundary={boundary}"
        names = [
            (n, v)
            for n, many in values.items()
            for v in ([many] if isinstance(many, str) else many)
        ]
        parts = [f'{{}}form-data; name="{n}"\r\n\r\n{v}' for n, v in names]
        head = "Content-Disposition: "
        parts += [f'{{}}form-data; name="it"; filename="{house * 250}.pdf"\r\nContent-Type: '
                  f"application/octet-stream\r\n\r\n{'x' * 3 * MIB}"] * 2  # fmt: skip
        lines = "".join(f"--{boundary}\r\n{part.replace('{}', head, 1)}\r\n" for part in parts)
        body = f"{lines}--{boundary}--\r\n".encode()
    assert parsed(body, kind, form(fields)).data["fields"]["name"] == house * 300
    assert len(body) <= longest_of(fields) - 64 * KIB


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
    return on.thanks_page(on.read(posted(body, {"content-type": URLENCODED})))
