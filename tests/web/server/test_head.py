"""Fast head parser: whatever it accepts, gunicorn's parser and the application read alike."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.http.wsgi import create
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.cli.processes import gunicorn_arguments
from hub.settings import Settings, load_settings
from hub.web.request_reader import inbound_request
from hub.web.server.arrival import Arrival
from hub.web.server.head import AT_ONCE_MOST_BYTES, FIELDS_MOST, Head, read_head

BODY = b'{"id": 1}'
LENGTH = f"Content-Length: {len(BODY)}"
CLIENT = ("127.0.0.1", 40000)


def configured() -> Config:
    """Return gunicorn's configuration as `hub web` sets it."""
    settings: Settings = load_settings({"DATABASE_URL": "sqlite:///x.db"})
    config = Config()
    options = config.parser().parse_args(gunicorn_arguments(settings))
    for name, value in vars(options).items():
        if value is not None and name in config.settings:
            config.set(name, value)
    return config


CONFIG = configured()


def read_by_gunicorn(raw: bytes) -> tuple[str, Mapping[str, str], bytes, bool]:
    """Return a request's address, fields and body, and whether its connection is kept."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall(raw)
        far.shutdown(socket.SHUT_WR)
        message = next(get_parser(CONFIG, near, CLIENT))
        _, environ = create(message, near, CLIENT, ("127.0.0.1", 80), CONFIG)
        del environ["gunicorn.socket"]
        received = inbound_request(
            environ, origin="https://hub", max_bytes=1000, received_at=datetime.now(UTC)
        )
    assert received.method == "POST"
    return received.url, received.headers, received.body, not message.should_close()


def read_at_once(raw: bytes) -> Head | None:
    arrival = Arrival(0)
    arrival.add(raw)
    return read_head(arrival.parts()[0]) if arrival.is_complete else None


def raw_of(
    *fields: str, line: str = "POST /webhooks/stripe HTTP/1.1", length: str = LENGTH
) -> bytes:
    lines = [line, *fields, length] if length else [line, *fields]
    return "".join(f"{one}\r\n" for one in [*lines, ""]).encode("latin-1") + BODY


def assert_both_read_alike(raw: bytes) -> Head:
    head = read_at_once(raw)
    assert head is not None
    url, headers, body, keep = read_by_gunicorn(raw)
    assert (f"https://hub{head.target}", dict(head.headers), BODY) == (url, dict(headers), body)
    assert head.keep is keep
    assert head.slug == head.target.partition("?")[0].removeprefix("/webhooks/")
    return head


@pytest.mark.parametrize(
    "raw",
    [
        raw_of("Host: a"),
        raw_of("Host:a", "X: \t b \t", "Y:", "Z: \xe9\xff"),
        raw_of("Host: a", "Connection: close"),
        raw_of("Host: a", "Connection:  Keep-Alive "),
        raw_of("Host: a", "X-Forwarded-Proto: https", "X-Forwarded-For: 1.2.3.4"),
        raw_of("Host: a", "Cookie: a=b; c=d", "Proxy: x"),
        raw_of("Host: a", line="POST /webhooks/twilio-2.b~c?x=%20y&z=1+2 HTTP/1.1"),
        raw_of("Host: a", line="POST /webhooks/s? HTTP/1.1"),
        raw_of("Host: a", length="content-length:\t 9 \t"),
    ],
)
def test_what_is_ordinary_is_read_at_once(raw: bytes) -> None:
    assert_both_read_alike(raw)


@pytest.mark.parametrize(
    "raw",
    [
        raw_of("Host: a", "X-Twice: 1", "x-twice: 2"),
        raw_of("Host: a", "Host: b"),
        raw_of("Host: a", "Under_score: 1"),
        raw_of("Host: a", "Bad\x00: 1"),
        raw_of("Host: a", "X: a\x00b"),
        raw_of("Host: a", "X: a\x7fb"),
        raw_of("Host: a", "X: a", " folded"),
        raw_of("Host: a", "X : a"),
        raw_of("Host: a", ": a"),
        raw_of("Host: a", "no colon"),
        raw_of("Host: a", "Expect: something"),
        raw_of("Host: a", "Connection: upgrade", "Upgrade: h2c"),
        raw_of("Host: a", "Content-Encoding: identity"),
        raw_of("Host: a", "Content-Type:"),
        raw_of("Host: a", "X: a\nY: b"),
        raw_of("Host: a", "X: a\rY: b"),
        raw_of("Host: a", line="GET /webhooks/stripe HTTP/1.1"),
        raw_of("Host: a", line="POST /webhooks/stripe HTTP/1.0"),
        raw_of("Host: a", line="POST  /webhooks/stripe HTTP/1.1"),
        raw_of("Host: a", line="POST http://a/webhooks/stripe HTTP/1.1"),
        raw_of("Host: a", line="POST /webhooks/stri%70e HTTP/1.1"),
        raw_of("Host: a", line="POST /webhooks/mail/secret HTTP/1.1"),
        raw_of("Host: a", line="POST /webhooks/stripe#x HTTP/1.1"),
        raw_of("Host: a", line="POST /forms/stripe HTTP/1.1"),
        raw_of("Host: a", *(f"X-{n}: 1" for n in range(FIELDS_MOST))),
        raw_of("Host: a", "X: " + "x" * AT_ONCE_MOST_BYTES),
        b"\r\n" + raw_of("Host: a"),
    ],
)
def test_what_is_odd_is_left_to_gunicorn(raw: bytes) -> None:
    assert read_at_once(raw) is None


NAMES = st.sampled_from(
    ["Host", "X-A", "x-a", "Accept", "Connection", "Content-Type", "Expect", "Upgrade", "A_B",
     "Content-Encoding", "Transfer-Encoding", "Content-Length", "SCRIPT-NAME", "X-Forwarded-Proto"]
) | st.from_regex(r"[!#$%&'*+.^`|~0-9A-Za-z_-]{1,5}", fullmatch=True)  # fmt: skip
VALUES = st.sampled_from(
    ["a", "", "close", "Keep-Alive", " a \t", "100-continue", "chunked", "identity", "9", "https"]
) | st.text(st.characters(max_codepoint=255), max_size=8)
LINES = st.sampled_from(
    [
        "POST /webhooks/stripe HTTP/1.1",
        "POST /webhooks/a.b?c=d HTTP/1.1",
        "POST /webhooks/s HTTP/1.0",
    ]
) | st.text(" /?#%.~abHTP1", max_size=6).map(lambda text: f"POST /webhooks/{text} HTTP/1.1")


@settings(max_examples=500)
@given(
    line=LINES,
    fields=st.lists(st.builds("{}:{}".format, NAMES, VALUES), max_size=4),
    length=st.sampled_from([LENGTH, LENGTH, "CONTENT-LENGTH:9", "Content-Length: 8", ""]),
)
def test_whatever_is_read_at_once_is_read_alike(line: str, fields: Any, length: str) -> None:
    raw = raw_of("Host: a", *fields, line=line, length=length)
    if read_at_once(raw) is not None:
        assert_both_read_alike(raw)
