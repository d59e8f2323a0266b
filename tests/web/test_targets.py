"""Targets in absolute form, other spellings of an address, and connections that are to be closed.

RFC 9112, 3.2.2 (the host of the target counts, and `Host` is ignored) and 9.6; RFC 9110, 4.2.3.
"""

from contextlib import ExitStack

import pytest
from flask import Flask

from tests.running import stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import SMALL_BYTES, Answer, Web, is_over, read_answer, request

BODY = stripe_event("evt_targets")
WEBHOOK = "/webhooks/stripe"
FOREIGN = [
    "http://evil.example", "https://evil.example", "HTTP://EVIL.EXAMPLE", "http://evil.example:80",
    "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example", "http://evil@127.0.0.1",
    "http://a:b@127.0.0.1", "ftp://127.0.0.1", "http://127.0.0.1:port", "http://127.0.0.1\\@x",
]  # fmt: skip
OURS = ["http://127.0.0.1", "https://127.0.0.1", "HTTP://127.0.0.1:8000", "http://LOCALHOST"]
CLOSING = ["close", "Close", "close, keep-alive", "keep-alive, close", "TE, close", ",close,"]


@pytest.fixture
def app(sqlite_url: str, tmp_path) -> Flask:
    return make_app(tmp_path, sqlite_url)


def post(app: Flask, target: str, host: str = "127.0.0.1") -> Answer:
    """Call the application as a WSGI server does that tells it the target."""
    path = "/" + target.split("/", 3)[-1] if "://" in target else target
    headers = {"Host": host, "Stripe-Signature": stripe_signature(BODY)}
    return call(app, BODY, headers, path=path, target=target)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_target_of_another_host_is_400_whatever_the_host_field_says(
    web: Web, app: Flask, origin: str
) -> None:
    before = web.ids()
    for host in ("127.0.0.1", "evil.example"):
        for path in (WEBHOOK, "/forms/contact", "/healthz"):
            raw = request(BODY, ("Host", host), path=origin + path)
            answer = web.exchange(raw)
            assert answer is not None
            assert answer.status == 400
        assert post(app, origin + WEBHOOK, host).status == 400
    assert web.kept(before).requests == []


@pytest.mark.parametrize("origin", OURS)
def test_a_target_of_this_host_is_taken_whatever_the_host_field_says(
    web: Web, app: Flask, origin: str
) -> None:
    before = web.ids()
    for n, host in enumerate(("127.0.0.1", "evil.example")):
        body = stripe_event(f"evt_{origin}_{n}")
        assert web.send(body, ("Host", host), path=f"{origin}{WEBHOOK}?a=1").status == 200
        assert post(app, origin + WEBHOOK, host).status == 200
    authority = origin.partition("://")[2].lower()
    for row in web.kept(before).requests:
        shown = web.shown(row["id"])
        assert shown["url"] == f"http://{authority}{WEBHOOK}?a=1"
        assert shown["headers"]["host"] == authority


def test_a_host_is_the_same_in_capital_letters(web: Web, app: Flask) -> None:
    assert web.send(stripe_event("evt_capitals"), ("Host", "LocalHost")).status == 200
    assert post(app, WEBHOOK, "LocalHost").status == 200


@pytest.mark.parametrize("end", ["#", "#x", "?a=1#x"])
def test_a_target_with_a_fragment_is_another_spelling(web: Web, app: Flask, end: str) -> None:
    before = web.ids()
    for path in (WEBHOOK, f"http://127.0.0.1{WEBHOOK}", "/forms/contact"):
        assert web.send(BODY, path=path + end).status == 404
    assert post(app, WEBHOOK + end).status == 404
    assert web.kept(before).requests == []


@pytest.mark.parametrize("said", CLOSING)
def test_whoever_asks_to_close_is_told_so_and_closed(web: Web, said: str) -> None:
    for n, raw in enumerate(
        (request(BODY, ("Connection", said)), request(b"", ("Connection", said), path="/healthz"))
    ):
        with web.connect() as sock:
            sock.sendall(raw + request(BODY))  # what comes behind it is dropped
            answer = read_answer(sock)
            assert answer.status == (200, 405)[n]
            assert answer.headers["connection"] == "close"
            assert is_over(sock)


REFUSED_CHUNKS = {
    "not verified": (401, request(BODY, ("Stripe-Signature", "t=1,v1=0"), chunks=[BODY])),
    "nowhere": (404, request(BODY, path="/nothing", chunks=[BODY])),
    "no source": (404, request(BODY, path="/webhooks/nobody", chunks=[BODY])),
    "another method": (405, request(BODY, method="PUT", chunks=[BODY])),
    "compressed": (415, request(BODY, ("Content-Encoding", "gzip"), chunks=[BODY])),
    "another host": (400, request(BODY, ("Host", "evil.example"), chunks=[BODY])),
    "no form": (415, request(BODY, path="/forms/contact", chunks=[BODY])),
    "no page": (404, request(BODY, path="/events/x/y", chunks=[BODY])),
    "no token": (403, request(BODY, path="/sign-in", chunks=[BODY])),
    "too large": (413, request(BODY, path="/webhooks/small", chunks=[b"x" * 2 * SMALL_BYTES])),
    "large fields": (431, request(BODY, ("X", "a" * 9000), chunks=[BODY])),
    "no framing": (400, request(BODY, chunks=[BODY])[:-5] + b"zz\r\n"),
}


def test_after_an_error_in_answer_to_chunks_the_connection_is_closed(web: Web) -> None:
    """A proxy in front may see another end of such a body, and send the next one's beginning."""
    with ExitStack() as stack:
        socks = {name: stack.enter_context(web.connect()) for name in REFUSED_CHUNKS}
        for name, sock in socks.items():
            sock.sendall(REFUSED_CHUNKS[name][1])
        for name, sock in socks.items():
            answer = read_answer(sock)
            assert (name, answer.status) == (name, REFUSED_CHUNKS[name][0])
            assert (name, answer.headers["connection"]) == (name, "close")
            assert is_over(sock), name


def test_after_chunks_that_were_taken_the_connection_stays(web: Web) -> None:
    with web.connect() as sock:
        for n in range(3):
            body = stripe_event(f"evt_stays_{n}")
            sock.sendall(request(body, chunks=[body]))
            answer = read_answer(sock)
            assert answer.status == 200
            assert answer.headers.get("connection") != "close"
