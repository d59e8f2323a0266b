"""Refusals of a form: faults that people mend, bodies that are no form, senseless settings."""

import json
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from adapters.contract.errors import InvalidSubmission, TooManyFields, Unreadable
from adapters.contract.strict_json import storable
from adapters.form.settings import FormSettings
from adapters.form.submission import JSON, URLENCODED
from adapters.form.text_fields import FILL_IN, LINES, STRANGE
from tests.adapters.posting import posted
from tests.adapters.submitting import FIELDS, GOOD, ORIGIN, faults, faults_of, form, parsed
from tests.timing import little_work


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"email": ""}, "email"),
        ({"email": "   "}, "email"),
        ({"email": "somebody"}, "email"),
        ({"email": "somebody@localhost"}, "email"),
        ({"email": "a@b.co\r\nBcc: x@y"}, "email"),
        ({"email": "a@b.co,x@y.co"}, "email"),
        ({"email": "a b@c.co"}, "email"),
        ({"email": "a@b..co"}, "email"),
        ({"email": '"a\r\nb"@c.co'}, "email"),
        ({"name": "Ann\r\nBcc: x@y"}, "name"),
        ({"name": "Ann\nBcc: x@y"}, "name"),
        ({"name": "Ann\rBcc: x@y"}, "name"),
        ({"name": "Ann\x00"}, "name"),
        ({"name": "x" * 501}, "name"),
        ({"message": "a\x00b"}, "message"),
        ({"message": "x" * 20_001}, "message"),
        ({"phone": "call me"}, "phone"),
        ({"phone": "1234"}, "phone"),
        ({"phone": "1" * 21}, "phone"),
        ({"phone": "+\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"}, "phone"),
        ({"phone": "\u0661" * 9}, "phone"),
        ({"topic": "Gutter"}, "topic"),
        ({"topic": "repair"}, "topic"),
    ],
)
def test_a_wrong_field_is_told_and_never_repeated(values: dict[str, str], name: str) -> None:
    """B69, B72, B73, B75, B83."""
    found = faults_of(**values)
    assert list(found) == [name]
    assert found[name].endswith(".")
    assert not values[name].strip() or values[name][:20] not in found[name]


def test_all_faults_are_told_at_once() -> None:
    assert faults(b"name=a%0Ab&phone=x&message=%00") == {
        "email": FILL_IN, "name": LINES, "phone": faults_of(phone="x")["phone"], "message": STRANGE,
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xe9", b"\xed\xa0\x80"])
def test_bytes_that_are_no_utf8_are_told(content: bytes) -> None:
    """B70."""
    for value in (content, quote_from_bytes(content).encode()):
        assert faults(b"email=a%40b.co&name=" + value) == {"name": STRANGE}
        assert parsed(b"email=a%40b.co&undeclared=" + value).data["fields"] == {"email": "a@b.co"}


def test_text_that_a_sender_did_not_escape_is_read() -> None:
    assert parsed("email=a@b.co&name=Jürgen".encode()).data["name"] == "Jürgen"
    assert parsed(b"email=a@b.co&name=J%C3\xbcrgen").data["name"] == "Jürgen"


def test_a_field_that_comes_twice_with_two_values_is_told() -> None:
    assert list(faults(b"email=a@b.co&email=c@d.co")) == ["email"]
    assert parsed(b"email=a@b.co&email=a@b.co").data["email"] == "a@b.co"


@pytest.mark.parametrize("value", [1, 1.5, True, [], ["a"], {}, {"a": 1}])
def test_json_that_is_no_text_is_told(value: Any) -> None:
    assert list(faults(json.dumps(GOOD | {"name": value}).encode(), JSON)) == ["name"]


def test_json_null_and_lone_surrogates() -> None:
    assert "name" not in parsed(json.dumps(GOOD | {"name": None}).encode(), JSON).data
    assert faults(rb'{"email": "a@b.co", "name": "\ud800"}', JSON) == {"name": STRANGE}


def encoded(disposition: str, value: str) -> bytes:
    head = f"--x\r\nContent-Disposition: form-data; {disposition}"
    return f"{head}\r\n\r\n{value}\r\n--x--".encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"email=a@b.co", "text/plain"),
        (b"email=a@b.co", ""),
        (b"--x\r\n", "multipart/form-data"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (encoded('name="email"', "a@b.co").removesuffix(b"--"), "multipart/form-data; boundary=x"),
        (encoded('name="cv"; filename="cv.pdf"', "1"), "multipart/form-data; boundary=x"),
        (b"", JSON),
        (b"[]", JSON),
        (b'"text"', JSON),
        (b'{"email": "a@b.co", "email": "c@d.co"}', JSON),
        (b"{", JSON),
        (b"\xff", JSON),
    ],
)  # fmt: skip
def test_what_is_no_form_is_unreadable(body: bytes, kind: str) -> None:
    """B81."""
    with pytest.raises(Unreadable) as refused:
        parsed(body, kind)
    assert not isinstance(refused.value, InvalidSubmission)


def test_fifty_thousand_fields_are_refused_at_once() -> None:
    """B79."""
    with little_work(), pytest.raises(TooManyFields):
        parsed(b"&".join(b"f%d=1" % n for n in range(50_000)))


@given(
    body=st.binary(),
    kind=st.sampled_from([URLENCODED, JSON, "multipart/form-data; boundary=x", "text/plain"]),
)
def test_whatever_is_sent_is_a_lead_or_refused(body: bytes, kind: str) -> None:
    try:
        event = parsed(body, kind)
    except Unreadable:
        return
    assert event.type == "lead.submitted"


@given(st.dictionaries(st.sampled_from([*FIELDS, "_token", "_page", "utm_source", "_gotcha"]),
                       st.text() | st.booleans() | st.none() | st.lists(st.text())))  # fmt: skip
def test_whatever_the_fields_hold_is_kept_or_told(values: dict[str, Any]) -> None:
    try:
        event = parsed(json.dumps(values).encode(), JSON)
    except InvalidSubmission as refused:
        assert refused.faults.keys() <= FIELDS.keys()  # noqa: PT017
    else:
        assert storable(event.data)[1] is None
        assert 1 <= len(event.external_id) <= 255


@pytest.mark.parametrize(
    "changed",
    [
        {"fields": {}},
        {"fields": None},
        {"fields": {"_token": {}}},
        {"fields": {"1st": {}}},
        {"fields": {"a b": {}}},
        {"fields": {"a": {"type": "signature"}}},
        {"fields": {"a": {"typ": "text"}}},
        {"fields": {"a": {"max": 0}}},
        {"fields": {"a": {"max": 1_000_000}}},
        {"fields": {"a": {"type": "choice"}}},
        {"fields": {"a": {"type": "choice", "choices": []}}},
        {"fields": {"a": {"type": "choice", "choices": ["x"], "max": 1}}},
        {"fields": {"a": {"choices": ["x"]}}},
        {"origins": ["acme.example"]},
        {"origins": ["https://acme.example/"]},
        {"origins": ["https://acme.example/contact"]},
        {"origins": ["*"]},
        {"redirect": "/thanks"},
        {"redirect": "javascript:alert(1)"},
        {"redirect": "https://acme.example/\r\nSet-Cookie: a=b"},
        {"redirect": "https://acme.example/\u00e9"},
        {"secrets": ["x"]},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        form(**changed) if "fields" not in changed else FormSettings().load(changed)
    assert refused.value.normalized_messages().keys() == changed.keys()


def test_a_field_may_have_any_name_a_page_may_use() -> None:
    names = ["fields", "context", "Meta", "load", "opts", "validate", "data", "key", "value"]
    on = form({name: {} for name in names})
    values = dict.fromkeys(names, "x")
    assert parsed(urlencode(values).encode(), on=on).data["fields"] == values


def test_a_field_without_a_label_is_called_by_its_name() -> None:
    labels = form({"first-name": {}, "e_mail": {"label": "Your e-mail"}}).labels
    assert labels == {"first-name": "First name", "e_mail": "Your e-mail"}


def test_a_redirect_may_have_a_fragment() -> None:
    on, asked = form(redirect=f"{ORIGIN}/#thanks"), posted(b"", {"content-type": URLENCODED})
    assert on.thanks_page(on.read(asked)) == f"{ORIGIN}/#thanks"
