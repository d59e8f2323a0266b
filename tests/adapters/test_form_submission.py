"""Submissions of a form: declared fields alone are kept, and say the same when read again."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import InvalidSubmission, TooManyFields, Unreadable
from adapters.contract.form_bodies import MAX_FIELDS, read_multipart
from adapters.contract.form_inbound import Submission
from adapters.contract.request import InboundRequest
from adapters.form.inbound import Form
from adapters.form.submission import JSON, MAX_HONEYPOT, MULTIPART, OWN, URLENCODED
from tests.adapters.posting import posted
from tests.adapters.submitting import FIELDS, GOOD, URL, form
from tests.timing import little_work

BOUNDARY = "b"
TYPES = {"urlencoded": URLENCODED, "json": JSON, "multipart": f"{MULTIPART}; boundary={BOUNDARY}"}
STRAY = {"company": "Stray Ltd", "is_admin": "1", "_subject": "stray", "extras[]": "solar"}
WITH_FILES = FIELDS | {"photos": {"type": "file", "max": 2, "accept": [".png"]}}

File = tuple[str, str, bytes]


def multipart(pairs: list[tuple[str, str]], files: list[File] | None = None) -> bytes:
    """Return a multipart body; a file is a name, a file name and a content."""
    body = b""
    for name, value in pairs:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        body += head.encode() + value.encode("utf-8", "surrogateescape") + b"\r\n"
    for name, filename, content in files or []:
        said = f'name="{name}"; filename="{filename}"'.encode("utf-8", "surrogateescape")
        kind = b"\r\nContent-Type: text/html\r\n\r\n"
        body += b"--b\r\nContent-Disposition: form-data; " + said + kind + content + b"\r\n"
    return body + b"--b--\r\n"


def request(kind: str, values: dict[str, Any], url: str = URL, **headers: str) -> InboundRequest:
    """Return a request with these values; a list is a repeated field."""
    pairs = [(n, v) for n, many in values.items() for v in (many if type(many) is list else [many])]
    body = {
        "urlencoded": lambda: urlencode(pairs).encode(),
        "json": lambda: json.dumps(values).encode(),
        "multipart": lambda: multipart(pairs),
    }[kind]()
    return posted(body, {"content-type": TYPES[kind], **headers}, url=url)


def read(kind: str, values: dict[str, Any], on: Form | None = None) -> Submission:
    return (on or form()).read(request(kind, values))


def fields_of(kept: InboundRequest) -> dict[str, str]:
    """Return the fields of a kept body, as plain parsers read them."""
    kind = kept.headers["content-type"]
    if kind == JSON:
        found: dict[str, str] = json.loads(kept.body)
        return found
    if kind == URLENCODED:
        return dict(parse_qsl(kept.body.decode(), strict_parsing=True))
    return {part.name: part.content.decode() for part in read_multipart(kept.body, kind)}


@pytest.mark.parametrize("kind", TYPES)
def test_undeclared_fields_are_not_kept_and_their_names_are_told(kind: str) -> None:
    on = form()
    submission = read(kind, {"company": "Stray Ltd"} | GOOD | STRAY | {"message": "ä, ö & 'ü'"}, on)
    assert fields_of(submission.request) == GOOD | {"message": "ä, ö & 'ü'"}
    assert b"tray" not in submission.request.body
    assert set(submission.undeclared) == STRAY.keys()
    assert len(submission.undeclared) == len(STRAY)
    assert not submission.has_stray_file
    assert on.typed(submission).keys() == {"email", "message"}


@pytest.mark.parametrize("kind", TYPES)
def test_what_the_hub_needs_to_read_it_again_is_kept(kind: str) -> None:
    own = {"_token": "t.n.s", "_page": "https://a.example/?utm_term=x", "_referrer": "https://b.example",
           "_next": "https://acme.example/thanks", "_hosted": "1", "_charset_": "utf-8",
           "utm_source": "ads", "_gotcha": "pills"}  # fmt: skip
    submission = read(kind, GOOD | own)
    assert fields_of(submission.request) == GOOD | own
    assert submission.undeclared == ()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", OWN)
def test_a_field_of_the_hubs_own_is_kept_as_far_as_it_can_mean_something(
    kind: str, name: str
) -> None:
    full = "x" * OWN[name]
    assert fields_of(read(kind, GOOD | {name: full}).request) == GOOD | {name: full}
    for value in (f"{full}x", "", ["one", "two"]):
        submission = read(kind, GOOD | {name: value})
        assert fields_of(submission.request) == GOOD
        assert submission.undeclared == ()


def test_of_the_field_that_people_do_not_see_a_mark_is_kept() -> None:
    on = form(honeypot="website")
    for kind, value, kept in (
        ("urlencoded", "x" * 5000, "x" * MAX_HONEYPOT), ("json", "", None), ("json", None, None),
        ("multipart", ["", "a"], "a"), ("json", 7, "filled in"), ("json", False, "filled in"),
        ("json", {"deep": [1]}, "filled in"), ("urlencoded", "", None),
    ):  # fmt: skip
        submission = read(kind, GOOD | {"website": value}, on)
        assert fields_of(submission.request).get("website") == kept
        assert on.signals(submission).honeypot == (kept is not None)


@pytest.mark.parametrize("kind", TYPES)
def test_the_answer_to_a_captcha_is_read_and_not_kept(kind: str) -> None:
    on = form()
    submission = read(kind, GOOD | {"h-captcha-response": "answer"}, on)
    assert on.signals(submission).challenge == "answer"
    assert fields_of(submission.request) == GOOD
    assert submission.undeclared == ()


def test_the_query_of_the_address_is_not_kept() -> None:
    asked = request("json", GOOD, url=f"{URL}?company=Stray")
    assert form().stored(asked).url == URL


@pytest.mark.parametrize("kind", TYPES)
def test_a_value_of_the_wrong_type_is_told_as_ever(kind: str) -> None:
    values = GOOD | {"name": "x" * 501, "topic": "Gutter"}
    with pytest.raises(InvalidSubmission) as refused:
        form().parse(request(kind, values))
    assert refused.value.faults.keys() == {"name", "topic"}


def test_a_file_is_kept_byte_for_byte_and_one_that_nobody_asked_for_is_not() -> None:
    on = form(WITH_FILES)
    content = bytes(range(256)) * 3 + b"\r\n--bx\r\n\r"
    files = [("photos", "a.png", content), ("cv", "stray.pdf", b"stray"), ("email", "c", b"stray")]
    body = multipart([("email", GOOD["email"]), ("x", "stray")], files)
    submission = on.read(posted(body, {"content-type": TYPES["multipart"]}, url=URL))
    assert b"stray" not in submission.request.body
    assert submission.undeclared == ("x", "cv")
    assert submission.has_stray_file
    with pytest.raises(Unreadable, match="no such file"):
        on.events(submission)
    [event] = on.parse(submission.request)
    assert [(one.name, one.content) for one in event.attachments] == [("a.png", content)]


NAMES = st.sampled_from([*WITH_FILES, *OWN, "_gotcha", "x", "_x", "ü", "", "cf-turnstile-response"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n')) | st.text('ab\\%"/2;=')
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def assert_same_again(sent: InboundRequest) -> None:
    on = form(WITH_FILES)
    try:
        submission = on.read(sent)
    except (Unreadable, TooManyFields):
        return
    kept = submission.request
    again = on.read(kept)
    assert again.request == kept
    assert (again.undeclared, again.has_stray_file) == ((), False)
    challenge = {"cf-turnstile-response"}
    assert again.values == {n: v for n, v in submission.values.items() if n not in challenge}
    assert again.files.keys() == submission.files.keys()
    for name, parts in submission.files.items():
        found = [(part.filename, part.content) for part in again.files[name]]
        assert found == [(part.filename, part.content) for part in parts]


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6))
def test_a_kept_urlencoded_body_says_the_same_again(pairs: list[tuple[str, str]]) -> None:
    body = urlencode(pairs).encode()
    assert_same_again(posted(body, {"content-type": URLENCODED}, url=URL))


@given(st.binary(max_size=60), st.sampled_from(list(TYPES)))
def test_whatever_bytes_come_say_the_same_again(body: bytes, kind: str) -> None:
    with_fields = {"urlencoded": b"email=" + body + b"&name=" + body,
                   "json": b'{"name":' + body + b"}",
                   "multipart": b'--b\r\nContent-Disposition: form-data; name="photos"; filename="'
                   + body + b'"\r\n\r\nx\r\n--b--'}[kind]  # fmt: skip
    assert_same_again(posted(with_fields, {"content-type": TYPES[kind]}, url=URL))


@given(st.dictionaries(NAMES, ANY_JSON, max_size=6))
def test_a_kept_json_body_says_the_same_again(values: dict[str, Any]) -> None:
    assert_same_again(request("json", values))


@given(
    st.lists(st.tuples(NAMES.filter('"'.__ne__), TEXTS), max_size=4),
    st.lists(st.tuples(st.sampled_from(["photos", "x"]), TEXTS, st.binary()), max_size=4),
)
def test_a_kept_multipart_body_says_the_same_again(
    pairs: list[tuple[str, str]], files: list[File]
) -> None:
    body = multipart(pairs, files)
    assert_same_again(posted(body, {"content-type": TYPES["multipart"]}, url=URL))


@pytest.mark.parametrize("filename", [
    "*=UTF-8''a%0D%0Ab.png", "*=UTF-8''a%2522.png", '="a\\"b.png"', '="a%22.png"',
    "*=UTF-8''%5Ca%2Fb.png", '="C:\\\\dir\\\\a.png"',
])  # fmt: skip
def test_no_file_name_breaks_out_of_the_head_that_keeps_it(filename: str) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="photos"; filename{filename}'
    body = f"{head}\r\n\r\nx\r\n--b--".encode()
    sent = posted(body, {"content-type": TYPES["multipart"]}, url=URL)
    assert_same_again(sent)
    [photo] = form(WITH_FILES).read(sent).files["photos"]
    assert photo.filename is not None
    assert photo.filename.endswith(".png")


def test_a_json_form_has_as_many_values_as_other_forms() -> None:
    listed = {"topics": {"type": "choices", "choices": ["a"]}}
    on = form(FIELDS | listed)
    most = MAX_FIELDS - 3  # the object and the list count too, and the e-mail address
    assert on.parse(request("json", GOOD | {"topics": ["a"] * most}))
    for more in ({"topics": ["a"] * (most + 2)}, {f"k{n}": 1 for n in range(MAX_FIELDS)}):
        with pytest.raises(Unreadable, match="1,000 values"):
            on.parse(request("json", GOOD | more))


COMB = b"[" * 60 + b"]" * 60
SLOW = {
    "combs": b'{"x":[' + b",".join([COMB] * 3900) + b"]}",
    "escaped combs": b'{"\\u0061":[' + b",".join([COMB] * 3900) + b"]}",
    "deep combs": b'{"x":[' + b",".join([b"[" * 1000 + b"]" * 1000] * 240) + b"]}",
    "lists": b'{"x":[' + b",".join([b"[]"] * 160_000) + b"]}",
    "keys": json.dumps({f"k{n}": 1 for n in range(44_000)}).encode(),
    "brackets": b"[" * 484_000,
    "digits": b'{"x":' + b"9" * 484_000 + b"}",
    "quotes": b'{"x":"' + b'\\"' * 242_000,
    "choices": json.dumps({"topics": ["z"] * 120_000}).encode(),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_json_form_that_means_to_take_long_is_refused_before_it_is_read(kind: str) -> None:
    on = form({"topics": {"type": "choices", "choices": [*(f"c{n}" for n in range(499)), "z"]}})
    sent = posted(SLOW[kind], {"content-type": JSON}, url=URL)
    with little_work(0.5):
        for _ in range(10):
            with pytest.raises(Unreadable):
                on.read(sent)


def test_an_e_mail_of_accents_alone_keeps_nobody_busy() -> None:
    accents = "a" + "\u0315\u0300" * 40_000
    on = form({"email": {"type": "longtext", "max": 100_000}})
    with little_work(1):
        [event] = on.parse(request("json", {"email": accents}))
    assert "email" not in event.data
    assert event.data["fields"]["email"] == accents


def test_a_content_type_of_many_parameters_is_not_taken_apart() -> None:
    kind = URLENCODED + "; " + "a=b;" * 15_000
    with little_work(0.5):
        for _ in range(20):
            with pytest.raises(Unreadable):
                form().read(posted(b"email=a%40b.co", {"content-type": kind}, url=URL))
