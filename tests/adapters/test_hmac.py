"""HMAC by settings: what is signed verifies and nothing else, ids, types, challenges, faults."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.inbound import Reply
from adapters.contract.signatures.hmac import ALGORITHMS, ENCODINGS, sign_hmac, verify_hmac
from adapters.hmac.challenge import MAX_CHALLENGE_BYTES
from adapters.hmac.inbound import HmacInbound
from adapters.hmac.settings import HmacSettings
from tests.adapters.posting import NOW, NOW_S, URL, posted, posted_sample

ONE, TWO = "acme_secret_number_one", "acme_secret_number_two"
PLAIN: dict[str, Any] = {"secrets": [ONE, TWO], "header": "X-Signature"}
TIMED: dict[str, Any] = PLAIN | {
    "signs": "v0:{timestamp}:{body}",
    "prefix": "v0=",
    "timestamp_header": "X-Time",
}
TOKEN = "a token of some length"
ECHO = "1158201444"


def adapter(settings: dict[str, Any] | None = None, **more: Any) -> HmacInbound:
    return HmacInbound(HmacSettings().load((settings or PLAIN) | more))


def parsed(ours: HmacInbound, body: bytes, headers: dict[str, str] | None = None) -> Event:
    (event,) = ours.parse(posted(body, headers))
    return event


names = st.from_regex(r"X-[A-Za-z]{4,12}", fullmatch=True)
steps = st.from_regex(r"[a-z]{1,8}(\.[a-z0-9]{1,8}){0,2}", fullmatch=True)


@st.composite
def any_settings(draw: st.DrawFn) -> dict[str, Any]:
    literal = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=5)
    places = draw(st.permutations(["body", *draw(st.sets(st.sampled_from(["url", "method"])))]))
    signs = draw(literal) + "".join(f"{{{place}}}{draw(literal)}" for place in places)
    header, *others = draw(st.lists(names, min_size=4, max_size=4, unique_by=str.lower))
    settings = {
        "secrets": draw(st.lists(st.text("abc é", min_size=9).filter(str.strip), min_size=1)),
        "header": header,
        "prefix": draw(st.sampled_from(["", "sha256=", "v0="])),
        "algorithm": draw(st.sampled_from(ALGORITHMS)),
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "signs": signs,
    }
    if draw(st.booleans()):
        settings |= {"signs": f"{{timestamp}}.{signs}", "timestamp_header": others[0]}
    for key, name in (("id_path", others[1]), ("type_path", others[2])):
        if draw(st.booleans()):
            settings[key] = draw(st.one_of(st.just(f"header:{name}"), steps.map(f"{key}.".__add__)))
    return settings


@given(any_settings(), st.integers(0, 10**6), st.integers(1, 255))
def test_for_any_settings_a_sample_verifies_and_a_changed_byte_does_not(
    settings: dict[str, Any], place: int, change: int
) -> None:
    ours = adapter(settings)
    sample = ours.sample(ours.sample_types()[0], "evt-1", NOW, live=True, url=URL)
    request = posted_sample(sample)
    assert ours.verify(request) == "secrets[0]"
    (event,) = ours.parse(request)
    assert event.native_type == ours.sample_types()[0]
    assert event.external_id == "evt-1" or "id_path" not in settings
    body = bytearray(sample.body)
    body[place % len(body)] ^= change
    with pytest.raises(NotVerified):
        ours.verify(posted(bytes(body), sample.headers))


@given(
    st.binary(max_size=300),
    st.sampled_from(ALGORITHMS),
    st.sampled_from(ENCODINGS),
    st.integers(0, 10**6),
    st.integers(1, 255),
)
def test_for_any_body_a_signature_fits_that_body_alone(
    body: bytes, algorithm: str, encoding: str, place: int, change: int
) -> None:
    header = sign_hmac(ONE, body, algorithm=algorithm, encoding=encoding)
    how = {"name": "X", "algorithm": algorithm, "encoding": encoding}
    assert verify_hmac([TWO, ONE], header, body, **how) == "secrets[1]"
    changed = bytearray(body or b"\x00")
    changed[place % len(changed)] ^= change
    for other in (bytes(changed), body + b"\x00"):
        with pytest.raises(NotVerified):
            verify_hmac([TWO, ONE], header, other, **how)


@given(st.one_of(st.none(), st.text()))
def test_any_header_is_refused_quietly(header: str | None) -> None:
    with pytest.raises(NotVerified, match="X-Signature"):
        verify_hmac([ONE], header, b"{}", name="X-Signature")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_signature_is_the_one_that_hashlib_makes(algorithm: str) -> None:
    expected = hmac.new(ONE.encode(), b"body", getattr(hashlib, algorithm))
    assert sign_hmac(ONE, b"body", algorithm=algorithm) == expected.hexdigest()


def test_a_blank_secret_verifies_nothing() -> None:
    for blank in ("", " ", "\n"):
        with pytest.raises(NotVerified):
            verify_hmac([blank], sign_hmac(blank, b"{}"), b"{}", name="X")


def test_what_does_not_start_as_the_settings_say_is_refused() -> None:
    ours = adapter(prefix="sha256=")
    signature = sign_hmac(ONE, b"{}")
    assert ours.verify(posted(b"{}", {"X-Signature": f"sha256={signature}"})) == "secrets[0]"
    for header in (signature, f"sha1={signature}", f"sha256={signature.upper()}"):
        with pytest.raises(NotVerified, match="X-Signature"):
            ours.verify(posted(b"{}", {"X-Signature": header}))


def slack(body: bytes, time: str) -> dict[str, str]:
    signed = f"v0:{time}:".encode() + body
    return {"X-Time": time, "X-Signature": f"v0={sign_hmac(ONE, signed)}"}


@pytest.mark.parametrize(("unit", "digits"), [(1, 10), (1000, 13)])
def test_the_time_counts_in_seconds_and_in_milliseconds(unit: int, digits: int) -> None:
    ours = adapter(TIMED, tolerance="30s")
    for age_s in (30, -30):
        time = str((NOW_S - age_s) * unit)
        assert len(time) == digits
        assert ours.verify(posted(b"{}", slack(b"{}", time))) == "secrets[0]"
    for age_s in (31, -31):
        with pytest.raises(NotVerified, match="at most 30 s"):
            ours.verify(posted(b"{}", slack(b"{}", str((NOW_S - age_s) * unit))))


def test_the_time_is_signed_and_is_when_it_happened() -> None:
    ours = adapter(TIMED)
    headers = slack(b'{"a": 1}', str(NOW_S - 60))
    assert parsed(ours, b'{"a": 1}', headers).occurred_at == NOW - timedelta(seconds=60)
    with pytest.raises(NotVerified):
        ours.verify(posted(b'{"a": 1}', headers | {"X-Time": str(NOW_S)}))


@pytest.mark.parametrize("time", ["", "soon", "-1", "1" * 12, "9" * 5000, "\u0661\u0662"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    ours = adapter(TIMED)
    with pytest.raises(NotVerified):
        ours.verify(posted(b"{}", slack(b"{}", time)))
    with pytest.raises(Unreadable):
        ours.parse(posted(b"{}", slack(b"{}", time)))


def test_headers_and_the_address_can_be_signed() -> None:
    ours = adapter(signs="{header:X-Id}{url}{body}")
    signed = b"msg-1" + URL.encode() + b"{}"
    headers = {"X-Id": "msg-1", "X-Signature": sign_hmac(ONE, signed)}
    assert ours.verify(posted(b"{}", headers)) == "secrets[0]"
    with pytest.raises(NotVerified):
        ours.verify(posted(b"{}", headers | {"X-Id": "msg-2"}))
    with pytest.raises(NotVerified):
        ours.verify(posted(b"{}", headers, url=f"{URL}?a=b"))
    with pytest.raises(NotVerified, match="x-id: missing"):
        ours.verify(posted(b"{}", {"X-Signature": sign_hmac(ONE, signed)}))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("id", {"id": "evt_1"}, "evt_1"),
        ("data.id", {"data": {"id": 17}}, "17"),
        ("events.0.id", {"events": [{"id": "first"}, {"id": "second"}]}, "first"),
        ("header:X-Id", {"id": "not this"}, "from-header"),
    ],
)
def test_the_id_is_where_the_settings_say(path: str, body: Any, expected: str) -> None:
    ours = adapter(id_path=path)
    event = parsed(ours, json.dumps(body).encode(), {"X-Id": "from-header"})
    assert event.external_id == expected
    assert event.data == {"native": body}


def test_the_same_signed_bytes_are_one_fact_under_any_id_that_is_not_signed() -> None:
    ours = adapter(TIMED, id_path="header:X-Id", type_path="header:X-Kind")
    told = [
        parsed(ours, b"{}", {"X-Time": f"{NOW_S}", "X-Id": f"id-{n}", "X-Kind": kind})
        for n, kind in enumerate(("paid", "paid", "refunded"))
    ]
    assert [one.external_id for one in told] == ["id-0", "id-1", "id-2"]
    assert len({one.fact_key for one in told}) == 1
    assert told[0].fact_key
    later = parsed(ours, b"{}", {"X-Time": f"{NOW_S + 1}", "X-Id": "id-3", "X-Kind": "paid"})
    assert later.fact_key != told[0].fact_key
    assert ours.unsigned == ("id", "type")


@pytest.mark.parametrize(
    ("body", "is_timed"),
    [
        ({"kind": "dispatch", "id": 1795176000, "phone": "+12025550123"}, False),
        ({"day": "2026-11-20", "name": "1795176000"}, False),
        ({"at": "2026-11-20T12:00:00Z"}, True),
        ({"sent": "2026-11-20 12:00"}, True),
        ({"data": {"created": 1795176000}}, True),
        ({"updated_at_ms": "1795176000123"}, True),
        ({"update_phone": "1202555012"}, False),
        ("when=2026-11-20T12%3A00%3A00Z", True),
        ("timestamp=1795176000.25", True),
    ],
)
def test_signed_bytes_without_a_time_are_one_fact_for_five_minutes(body, is_timed) -> None:
    ours = adapter(id_path="header:X-Id")
    is_form = isinstance(body, str)
    raw = body.encode() if is_form else json.dumps(body).encode()
    headers = {"X-Id": "1"} | (
        {"content-type": "application/x-www-form-urlencoded"} if is_form else {}
    )
    event = parsed(ours, raw, headers)
    assert event.fact_key.startswith("signed:")
    assert event.fact_window_s == (None if is_timed else 300)
    assert ours.untimed
    assert parsed(adapter(id_path="kind"), b'{"kind": "a"}').fact_window_s is None
    assert not adapter(id_path="kind").untimed
    assert not adapter(TIMED, id_path="header:X-Id").untimed
    repeated = parsed(adapter(TIMED, tolerance="1h"), b"{}", {"X-Time": f"{NOW_S}"})
    assert repeated.fact_window_s == 7200, "it may be sent again for as long"
    slot = parsed(adapter(), b'{"slot": "2026-12-01T10:00"}')
    assert slot.fact_window_s == 300, "a time may be that of anything"
    assert "id_path" in adapter().untimed


def test_an_id_that_is_signed_is_the_only_key() -> None:
    for settings in (
        {"id_path": "id"},
        {"id_path": "header:X-Id", "signs": "{header:x-id}.{body}"},
    ):
        ours = adapter(PLAIN | settings)
        assert ours.unsigned == ()
        assert parsed(ours, b'{"id": "evt_1"}', {"X-Id": "evt_1"}).fact_key is None


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, "", " ", "a b", "é", "x" * 256])
def test_an_id_that_cannot_be_a_key_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable, match="id"):
        parsed(adapter(id_path="id"), json.dumps({"id": value}).encode())


@pytest.mark.parametrize("path", ["a.b", "a.9", "a.-1", "a.0.x", "header:X-None"])
def test_a_path_that_leads_nowhere_is_unreadable(path: str) -> None:
    with pytest.raises(Unreadable, match=f"no text at {path}"):
        parsed(adapter(id_path=path), b'{"a": ["x"]}')


def test_without_a_path_the_id_is_the_body_and_the_type_is_webhook() -> None:
    event = parsed(adapter(), b'{"a": 1}')
    digest = hashlib.sha256(b'{"a": 1}').hexdigest()
    assert (event.external_id, event.fact_key) == (f"{digest}:{NOW_S}", f"body:{digest}")
    assert (event.type, event.occurred_at) == ("hmac.webhook", NOW)
    assert parsed(adapter(), b'{"a": 2}').external_id != event.external_id


def test_a_type_is_kept_as_it_is() -> None:
    ours = adapter(type_path="kind")
    assert parsed(ours, b'{"kind": "Order.Placed"}').type == "hmac.Order.Placed"
    for kind in ("x" * 101, "two words"):
        with pytest.raises(Unreadable, match="type"):
            parsed(ours, json.dumps({"kind": kind}).encode())


def test_a_form_is_read_as_one_when_it_says_so() -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    event = parsed(adapter(type_path="kind"), b"kind=paid&tag=a&tag=b&tag=c&name=Zo%C3%AB", form)
    assert event.native_type == "paid"
    assert event.data["native"] == {"kind": "paid", "tag": ["a", "b", "c"], "name": "Zoë"}
    with pytest.raises(Unreadable):
        parsed(adapter(), b"kind=paid")


META = {"query": "hub.challenge", "token_query": "hub.verify_token", "token": TOKEN}


def asked(ours: HmacInbound, query: str) -> Reply | None:
    return ours.handshake(posted(b"", method="GET", url=f"{URL}?{query}"))


def test_a_get_with_our_token_is_echoed() -> None:
    ours = adapter(challenge=META)
    token = TOKEN.replace(" ", "+")
    query = f"hub.mode=subscribe&hub.challenge={ECHO}&hub.verify_token={token}"
    assert asked(ours, query) == Reply(200, ECHO.encode(), "text/plain; charset=utf-8")
    assert asked(ours, "nothing=asked") is None
    assert adapter().handshake(posted(b"", method="GET", url=f"{URL}?{query}")) is None


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN.upper(), "%ff%00", "é"])
def test_a_get_with_another_token_is_refused(token: str) -> None:
    ours = adapter(challenge=META)
    for query in (f"hub.challenge=1&hub.verify_token={token}", "hub.challenge=1"):
        with pytest.raises(NotVerified, match=r"hub\.verify_token") as caught:
            asked(ours, query)
        assert TOKEN not in str(caught.value)


def test_a_challenge_without_a_token_is_echoed_and_never_as_more_than_a_line() -> None:
    ours = adapter(challenge={"query": "challenge"})
    reply = asked(ours, "challenge=%3Cscript%3E")
    assert reply
    assert reply.content_type == "text/plain; charset=utf-8"
    for nonsense in ("a%0d%0ab", "%00", "%ff", "x" * 1001):
        with pytest.raises(NotVerified, match="one line"):
            asked(ours, f"challenge={nonsense}")
    with pytest.raises(NotVerified, match="query"):
        asked(ours, "a=b&" * 2000)


def test_a_signed_post_is_echoed_and_an_unsigned_one_is_not() -> None:
    ours = adapter(TIMED, type_path="type", challenge={"body": "challenge", "type": "url_check"})
    body = json.dumps({"type": "url_check", "challenge": "3eZbrw1aB"}).encode()
    reply = ours.handshake(posted(body, slack(body, str(NOW_S))))
    assert reply == Reply(200, b"3eZbrw1aB", "text/plain; charset=utf-8")
    with pytest.raises(NotVerified):
        ours.handshake(posted(body, slack(b"{}", str(NOW_S))))
    with pytest.raises(NotVerified):
        ours.handshake(posted(body, slack(body, str(NOW_S - 9999))))


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "event", "challenge": "an event that has such a field"}',
        b'{"type": "url_check"}',
        b'{"type": "url_check", "challenge": ""}',
        b'{"type": "url_check", "challenge": 7}',
        b'{"challenge": "no type"}',
        b"[]",
        b"",
        b"\xff",
    ],
)
def test_what_is_no_challenge_is_an_event_for_all_the_handshake_knows(body: bytes) -> None:
    ours = adapter(type_path="type", challenge={"body": "challenge", "type": "url_check"})
    assert ours.handshake(posted(body)) is None


def test_a_post_that_is_larger_than_a_challenge_is_not_read_for_one() -> None:
    ours = adapter(type_path="type", challenge={"body": "challenge", "type": "url_check"})
    small = json.dumps({"type": "url_check", "challenge": "x"}).encode()
    with pytest.raises(NotVerified):
        ours.handshake(posted(small.ljust(MAX_CHALLENGE_BYTES)))
    assert ours.handshake(posted(small.ljust(MAX_CHALLENGE_BYTES + 1))) is None


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"secrets": []}, "secrets", "Shorter"),
        ({"header": "X Signature"}, "header", "name of a header"),
        ({"header": "X-A\nX-B"}, "header", "name of a header"),
        ({"algorithm": "md5"}, "algorithm", "sha1, sha256 or sha512"),
        ({"encoding": "base32"}, "encoding", "hex or base64"),
        ({"signs": "{timestamp}"}, "signs", "expected {body}"),
        ({"signs": "{body}{nonce}"}, "signs", "no other braces"),
        ({"signs": "{{body}}"}, "signs", "no other braces"),
        ({"signs": "{timestamp}{body}"}, "signs", "goes with `timestamp_header`"),
        ({"timestamp_header": "X-Time"}, "signs", "goes with `timestamp_header`"),
        ({"tolerance": "5m"}, "tolerance", "needs `{timestamp}`"),
        (TIMED | {"tolerance": 300}, "tolerance", "duration like"),
        (TIMED | {"tolerance": "25h"}, "tolerance", "a day at most"),
        ({"id_path": "header:x-signature"}, "header", "named twice"),
        (TIMED | {"type_path": "header:X-Time"}, "header", "named twice"),
        ({"id_path": "header:X Y"}, "id_path", "path like data.id"),
        ({"id_path": "data..id"}, "id_path", "path like data.id"),
        ({"id_path": "data", "type_path": "data.type"}, "id_path", "within `type_path`"),
        ({"challenge": {}}, "challenge", "either `query` or `body`"),
        ({"challenge": {"query": "a", "body": "b"}}, "challenge", "either `query` or `body`"),
        ({"challenge": {"query": "a", "token": TOKEN}}, "challenge", "go together"),
        ({"challenge": META | {"token": "short"}}, "challenge", "shorter than 16"),
        ({"challenge": {"body": "a", "type": "b"}}, "challenge", "needs `type_path`"),
    ],
)
def test_a_fault_in_the_settings_is_told_in_a_sentence(
    more: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        HmacSettings().load(PLAIN | more)
    assert list(caught.value.messages) == [path]
    assert words in str(caught.value.messages)


def test_no_fault_names_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        HmacSettings().load(PLAIN | {"challenge": META | {"token": "s3cr3t"}, "algorithm": "md5"})
    assert "s3cr3t" not in str(caught.value)
    assert ONE not in str(caught.value)
