"""Whole MIME messages: nested, cut off, made of anything, made to keep us busy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.strict_json import storable
from adapters.sendgrid_inbound.mime import MAX_DEPTH, read_message
from tests.adapters.mailing import BASIC, event_of
from tests.timing import little_work

NESTED = b"""From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r
Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r
Message-ID: <raw@example.org>\r
Content-Type: multipart/mixed; boundary=----=_outer\r
\r
This is a message in MIME.\r
------=_outer\r
Content-Type: multipart/alternative; boundary="inner"\r
\r
--inner\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
Sch=F6n\r
--inner\r
Content-Type: text/html; charset=utf-8\r
Content-Transfer-Encoding: base64\r
\r
PGI+U2Now7ZuPC9iPg==\r
--inner--\r
------=_outer\r
Content-Type: image/png; name="=?utf-8?q?b=C3=A4r.png?="\r
Content-Transfer-Encoding: base64\r
\r
iVBORw0K\r
------=_outer\r
Content-Type: message/rfc822\r
Content-Disposition: attachment; filename*=utf-8''f%C3%BCr.eml\r
\r
Subject: inner\r
\r
--inner text\r
------=_outer--\r
"""


def raw(message: bytes) -> Event:
    return event_of({"email": message, "envelope": BASIC["envelope"]})


def test_a_raw_message_gives_its_texts_and_its_files() -> None:
    event = raw(NESTED)
    assert event.external_id == "raw@example.org"
    data = event.data
    assert (data["name"], data["subject"]) == ("J\u00fcrgen", "Gr\u00fc\u00dfe")
    assert (data["text"], data["html"]) == ("Sch\u00f6n", "<b>Sch\u00f6n</b>")
    assert [(one.name, one.content_type, one.content) for one in event.attachments] == [
        ("b\u00e4r.png", "image/png", b"\x89PNG\r\n"),
        ("f\u00fcr.eml", "message/rfc822", b"Subject: inner\r\n\r\n--inner text"),
    ]
    assert "email" not in data["native"]


def test_a_raw_message_that_was_cut_off_still_gives_what_is_there() -> None:
    assert raw(NESTED[: NESTED.index(b"Content-Type: image")]).data["text"] == "Sch\u00f6n"


def test_parts_nested_deeper_than_anybody_writes_are_a_file() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n" % (n, n)
        for n in range(MAX_DEPTH + 5)
    )
    message = read_message(deep + b"\r\ntext")
    assert [one.content_type for one in message.files] == ["multipart/mixed"]


@given(
    message=st.binary()
    | st.lists(
        st.sampled_from(
            [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/html; charset=",
             b"Content-Type: text/plain; name*0*=idna''%", b"Content-Transfer-Encoding: base64",
             b"Content-Transfer-Encoding: quoted-printable", b"Subject: =?idna?q?", b"From: ((((",
             b"Message-ID: <", b"Date: ", b"Content-Disposition: attachment; filename=\xff",
             b"\r\n", b"\r\n\r\n", b"\n", b"--b", b"--b--", b"=", b"=\xff", b">", b"?=", b"\x00"]
        ),
        max_size=60,
    ).map(b"".join)
)  # fmt: skip
def test_any_raw_message_is_an_event(message: bytes) -> None:
    event = raw(message.replace(b"--xYzZY", b""))
    assert event.external_id.isascii()
    data, _ = storable(event.data)
    json.dumps(data, allow_nan=False).encode()


@pytest.mark.parametrize(
    "message",
    [b"\n" * 20_000_000, b"a: b\r\n" * 3_000_000,
     b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 4_000_000,
     b"Content-Type: text/plain" + b'; a="' * 3_000_000, b"Subject: " + b"=?a?q?" * 3_000_000,
     b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 20_000_001,
     b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
              for n in range(200)) + b"\n--b" * 3_000_000],
    ids=["empty lines", "headers", "parts", "parameters", "words", "padding", "nesting"],
)  # fmt: skip
def test_a_message_made_to_keep_us_busy_does_not(message: bytes) -> None:
    with little_work(20):
        read_message(message)
        raw(message)


def test_a_message_of_more_parts_than_anybody_writes_is_unreadable() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=in\r\n\r\n" + b"--in\r\n\r\nx\r\n" * 500
    outer = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n"
    with pytest.raises(Unreadable):
        raw(outer + (b"--out\r\n" + inner) * 3)


def test_a_field_of_megabytes_is_whole() -> None:
    html = "<p>" + "\u00e9" * 2_000_000
    assert event_of(BASIC | {"html": html}).data["html"] == html
