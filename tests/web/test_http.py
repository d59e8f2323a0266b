"""HTTP requests that are not a POST of a body to a source's address, in every way (B54 to B67)."""

import gzip
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from hub.web.http_protocol import PIPELINE_MOST
from tests.running import stripe_event, stripe_signature
from tests.web.serving import SMALL_BYTES, Web, chunked, exchange, read_answer, request

BODY = stripe_event("evt_http")
LARGE = b'{"x": "' + b"x" * SMALL_BYTES + b'"}'
HUGE = b'{"x": "' + b"x" * (3 * 1024 * 1024) + b'"}'


def assert_refused(web: Web, raw: bytes, *statuses: int, method: str = "POST") -> None:
    before = web.ids()
    answer = web.exchange(raw, method=method)
    assert answer is not None
    assert answer.status in statuses
    assert "location" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers.get("server") in (None, "gunicorn")
    assert b"evt_http" not in answer.body
    assert b"Traceback" not in answer.body
    kept = web.kept(before)
    assert kept.requests == []
    assert kept.events == []


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("body", [LARGE, HUGE], ids=["small source", "3 MiB"])
def test_a_body_over_the_limit_is_413(web: Web, body: bytes) -> None:
    """B54."""
    assert_refused(web, request(body, path="/webhooks/small"), 413)


@pytest.mark.parametrize("size", [1, 1000, SMALL_BYTES, 10**7])
def test_chunks_over_the_limit_are_413_and_nothing_is_cut(web: Web, size: int) -> None:
    """B55: signed over the whole, and over what a server that cuts would pass on."""
    for signed in (LARGE, LARGE[:SMALL_BYTES]):
        signature = ("Stripe-Signature", stripe_signature(signed))
        raw = request(LARGE, signature, path="/webhooks/small", chunks=pieces(LARGE, size))
        assert_refused(web, raw, 413)


def test_huge_chunks_are_413(web: Web) -> None:
    assert_refused(web, request(HUGE, chunks=pieces(HUGE, 100_000)), 413)


def test_a_body_of_just_the_limit_is_taken_either_way(web: Web) -> None:
    for n, chunks in enumerate((None, [1000])):
        body = stripe_event(f"evt_just_{n}")
        body += b" " * (SMALL_BYTES - len(body))
        before = web.ids()
        raw = request(
            body, path="/webhooks/small", chunks=pieces(body, chunks[0]) if chunks else None
        )
        answer = web.exchange(raw)
        assert answer is not None
        assert answer.status == 200
        [row] = web.kept(before).requests
        assert web.shown(row["id"])["body"] == body


CHUNKED = ("Transfer-Encoding", "chunked")
FRAMINGS = {
    "both": request(BODY, ("Content-Length", "5"), CHUNKED)[: -len(BODY)] + chunked([BODY]),
    "two lengths": request(BODY, ("Content-Length", str(len(BODY))), ("Content-Length", "5")),
    "two equal lengths": request(BODY, *[("Content-Length", str(len(BODY)))] * 2),
    "a list of lengths": request(BODY, ("Content-Length", f"{len(BODY)}, {len(BODY)}")),
    "no number": request(BODY, ("Content-Length", "abc")),
    "negative": request(BODY, ("Content-Length", "-1")),
    "a sign": request(BODY, ("Content-Length", f"+{len(BODY)}")),
    "empty": request(BODY, ("Content-Length", "")),
    "other digits": request(BODY, ("Content-Length", "\xb2")),
    "5000 digits": request(BODY, ("Content-Length", "1" * 5000)),
    "unknown coding": request(BODY, ("Transfer-Encoding", "x"), chunks=[BODY]),
    "compressed chunks": request(BODY, ("Transfer-Encoding", "gzip, chunked"), chunks=[BODY]),
    "chunked twice": request(BODY, ("Transfer-Encoding", "chunked, chunked"), chunks=[BODY]),
    "no chunk size": request(BODY, CHUNKED, chunks=[])[:-5] + b"zz\r\nhello\r\n0\r\n\r\n",
    "a chunk that lies": request(BODY, CHUNKED, chunks=[])[:-5] + b"3\r\nhello\r\n0\r\n\r\n",
    "a bad trailer": request(BODY, CHUNKED, chunks=[])[:-5] + b"2\r\n{}\r\n0\r\nHost: x\r\n\r\n",
    "chunked in HTTP/1.0": request(BODY, CHUNKED, chunks=[BODY]).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "unknown expectation": request(BODY, ("Expect", "the unexpected")),
}


@pytest.mark.parametrize("raw", FRAMINGS.values(), ids=FRAMINGS)
def test_a_body_of_doubtful_length_is_400(web: Web, raw: bytes) -> None:
    """B57."""
    assert_refused(web, raw, 400)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "identity, gzip"])
def test_a_content_encoding_is_415(web: Web, coding: str) -> None:
    """B60."""
    assert_refused(web, request(gzip.compress(BODY), ("Content-Encoding", coding)), 415)


def test_a_gzip_bomb_is_415_and_takes_no_memory(web: Web) -> None:
    """B61."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert_refused(web, request(bomb, ("Content-Encoding", "gzip")), 415)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "TRACE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("body", [BODY, b""], ids=["body", "none"])
def test_other_methods_are_405(web: Web, method: str, body: bytes) -> None:
    """B63 and B64."""
    assert_refused(web, request(body, ("Origin", "x"), method=method), 405, method=method)


def test_an_unheard_of_method_is_405_or_400(web: Web) -> None:
    for method in ("BREW", "CONNECT", "post"):
        assert_refused(web, request(BODY, method=method), 400, 405)


PATHS = [
    "//webhooks/stripe", "/webhooks//stripe", "/webhooks/stripe/", "/webhooks/%73tripe",
    "/%77ebhooks/stripe", "/webhooks/..;/stripe", "/webhooks/../webhooks/stripe",
    "/./webhooks/stripe", "/webhooks/./stripe", "/webhooks/stripe;x", "/webhooks/stripe%00",
    "/webhooks/stripe%20", "/webhooks/STRIPE", "/Webhooks/stripe", "/webhooks", "/webhooks/",
    "/webhooks/nobody", "/webhooks/closed", "/webhooks/stripe/a/b", "/webhooks%2Fstripe",
    "/webhooks/stripe%2F", "/webhooks/%ff", "/webhooks/stripe/secret", "/webhooks/stripe%3Fa",
    "/webhooks/stripe/%2e%2e", "\\webhooks\\stripe", "http://127.0.0.1//webhooks/stripe",
    "/hooks/stripe", "*",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_any_other_spelling_of_the_path_is_404_and_no_redirect(web: Web, path: str) -> None:
    """B65."""
    statuses = (404,) if path.startswith(("/", "http")) else (400, 404)
    assert_refused(web, request(BODY, path=path), *statuses)


def test_a_query_does_no_harm(web: Web) -> None:
    before = web.ids()
    assert web.send(stripe_event("evt_query"), path="/webhooks/stripe?a=%2F..&b=//").status == 200
    [row] = web.kept(before).requests
    assert web.shown(row["id"])["url"] == "http://127.0.0.1/webhooks/stripe?a=%2F..&b=//"


HOSTS = ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "a b", "evil:80",
         "\xe9", "[::1", "127.0.0.1:port", "127.0.0.1/x"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_is_400(web: Web, host: str) -> None:
    """B66."""
    assert_refused(web, request(BODY, ("Host", host)), 400)


def test_no_host_or_two_is_400(web: Web) -> None:
    assert_refused(web, request(BODY).replace(b"Host: 127.0.0.1\r\n", b""), 400)
    assert_refused(web, request(BODY, ("Host", "127.0.0.1"), ("Host", "127.0.0.1")), 400)


def test_what_a_proxy_would_say_is_not_believed(web: Web) -> None:
    """Headers steer neither the scheme nor the path."""
    before = web.ids()
    headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
               ("X-Forwarded-Ssl", "off"), ("SCRIPT_NAME", "/webhooks"), ("PATH_INFO", "/x"),
               ("X-HTTP-Method-Override", "DELETE"), ("Forwarded", "host=evil")]  # fmt: skip
    assert web.send(stripe_event("evt_steered"), *headers).status == 200
    [row] = web.kept(before).requests
    assert web.shown(row["id"])["url"] == "http://127.0.0.1/webhooks/stripe"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (request(BODY, ("X", "a\0b")), (400,)),
        (request(BODY, ("X", "a" * 9000)), (431,)),
        (request(BODY, ("X" * 9000, "a")), (431,)),
        (request(BODY, *[(f"X-{n}", "a") for n in range(120)]), (431,)),
        (request(BODY, *[(f"X-{n}", "a" * 8000) for n in range(20)]), (431,)),
        (request(BODY, path="/webhooks/stripe?" + "a" * 9000), (431,)),
        (request(BODY, path="/" + "a" * 9000), (431,)),
        (request(BODY, ("X", "a\r\n folded")), (400,)),
        (request(BODY).replace(b"\r\n", b"\n"), (400,)),
        (request(BODY, ("X Y", "a")), (400,)),
        (request(BODY).replace(b"Host: ", b"Host : "), (400,)),
        (request(BODY).replace(b"HTTP/1.1", b"HTTP/2.0"), (400,)),
        (request(BODY).replace(b"HTTP/1.1", b"HTTP/9"), (400,)),
        (request(BODY, path="/webhooks/stripe x"), (400,)),
        (b"\r\n\r\n", (400,)),
        (b"hello\r\n\r\n", (400,)),
        (b"GET\r\n\r\n", (400,)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),  # the beginning of TLS
    ],
)
def test_what_is_not_http_is_refused_in_our_words(web: Web, raw: bytes, statuses) -> None:
    """B67."""
    assert_refused(web, raw, *statuses)
    answer = web.exchange(raw)
    assert answer is not None
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["connection"] == "close"


def test_one_connection_serves_good_and_bad_in_turn(web: Web) -> None:
    with web.connect() as sock:
        for n in range(3):
            for raw, status in (
                (request(stripe_event(f"evt_turn_{n}")), 200),
                (request(BODY, ("Stripe-Signature", "t=1,v1=0")), 401),
                (request(BODY, path="/nothing"), 404),
                (request(BODY, chunks=pieces(BODY, 7)), 200),
                (request(BODY, method="GET"), 405),
            ):
                answer = exchange(sock, raw)
                assert answer is not None
                assert answer.status == status


def test_requests_sent_without_waiting_are_answered_in_order(web: Web) -> None:
    last = request(BODY, ("Connection", "close"))
    with web.connect() as sock:
        sock.sendall(request(stripe_event("evt_line")) + request(BODY, path="/nothing") + last)
        told = b"".join(iter(lambda: sock.recv(4096), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"200", b"404", b"200"]


CHUNKED_HEAD = request(BODY, CHUNKED, chunks=[])[:-5]
ENDLESS = {
    "a request line": (b"POST /" + b"a" * 200_000, 431),
    "a field": (b"POST /webhooks/stripe HTTP/1.1\r\nX: " + b"a" * 200_000, 431),
    "fields": (b"POST /webhooks/stripe HTTP/1.1\r\n" + b"X: a\r\n" * 40_000, 431),
    "empty lines": (b"\r\n" * 40_000, 400),
    "a chunk's size": (CHUNKED_HEAD + b"0" * 200_000, 400),
    "a chunk's extension": (CHUNKED_HEAD + b"2;" + b"a" * 200_000, 400),
    "extensions": (CHUNKED_HEAD + b"1;aaaaaaaaaaaaaaaa\r\n{\r\n" * 20_000, 400),
    "a trailer": (CHUNKED_HEAD + b"2\r\n{}\r\n0\r\nX: " + b"a" * 200_000, 400),
    "trailers": (CHUNKED_HEAD + b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 40_000, 400),
}


@pytest.mark.parametrize(("raw", "status"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_refused_soon(web: Web, raw: bytes, status) -> None:
    before = web.ids()
    with web.connect() as sock:
        with suppress(ConnectionError):  # it is refused long before its end
            sock.sendall(raw)
        answer = read_answer(sock)
    assert answer.status == status
    assert web.kept(before).requests == []


def test_a_field_with_an_underscore_is_not_one_with_a_hyphen(web: Web) -> None:
    """WSGI spells both alike: the second one would replace, or forge, the first."""
    before = web.ids()
    body = stripe_event("evt_underscore")
    wrong = ("Stripe-Signature", "t=1,v1=0")
    forged = ("Stripe_Signature", stripe_signature(body))
    for path in ("/webhooks/stripe", "/webhooks/large"):
        assert web.send(body, wrong, forged, path=path).status == 401
    assert web.kept(before).events == []


def test_a_field_that_comes_twice_is_one_with_both_values(web: Web) -> None:
    before = web.ids()
    body = stripe_event("evt_twice_a_field")
    assert web.send(body, ("X-Twice", "a"), ("X-Twice", "b")).status == 200
    [row] = web.kept(before).requests
    assert web.shown(row["id"])["headers"]["x-twice"] == "a,b"


def test_an_address_that_is_not_ascii_is_400(web: Web) -> None:
    for path in ("/webhooks/stripe?a=\xff", "/webhooks/stripe\xff", "/events?q=\xff"):
        assert_refused(web, request(BODY, path=path), 400)


def all_said(web: Web, raw: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes, close that side of the connection, and return all that the server says."""
    with web.connect() as sock:
        sock.sendall(raw)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def statuses(said: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1.1 (\d+)", said)


def test_a_body_that_breaks_is_answered_once(web: Web) -> None:
    """The server lingers for a second after each, side by side."""

    def found(case: tuple[str, bool]) -> list[bytes]:
        path, half_close = case
        raw = request(b"", CHUNKED, path=path, chunks=[])[:-5] + b"zz\r\n"
        return statuses(all_said(web, raw, half_close=half_close))

    paths = ("/webhooks/nobody", "/webhooks/stripe", "/forms/contact", "/x")
    cases = [(path, half_close) for path in paths for half_close in (True, False)]
    with ThreadPoolExecutor(len(cases)) as pool:
        answers = dict(zip(cases, pool.map(found, cases), strict=True))
    assert [case for case in cases if answers[case] not in ([b"400"], [b"404"])] == []


def test_what_is_whole_is_answered_whatever_comes_behind_it(web: Web) -> None:
    for n, rest in enumerate((b"GARBAGE\r\n", b"POST /webhooks/str", request(BODY)[:-10], b"\0")):
        whole = request(stripe_event(f"evt_before_garbage_{n}"))
        for good in (whole, whole * 3):
            found = statuses(all_said(web, good + rest))
            assert found[: good.count(b"POST /")] == [b"200"] * good.count(b"POST /")
            assert len(found) <= good.count(b"POST /") + 1


def test_a_trailer_is_no_header(web: Web) -> None:
    before = web.ids()
    body = stripe_event("evt_trailer")
    head, _, _ = request(body, chunks=[body]).partition(b"\r\n\r\n")
    rest = b"%x\r\n%b\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-More: a\r\n\r\n" % (len(body), body)
    assert web.exchange(head + b"\r\n\r\n" + rest).status == 200
    [row] = web.kept(before).requests
    kept = web.shown(row["id"])["headers"]
    assert "x-forwarded-for" not in kept
    assert "x-more" not in kept


def test_requests_without_end_on_one_connection_are_cut_off(web: Web) -> None:
    raw = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * (3 * PIPELINE_MOST)
    found = statuses(all_said(web, raw, half_close=False))
    assert set(found) == {b"200"}
    assert PIPELINE_MOST <= len(found) < 3 * PIPELINE_MOST


@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
def test_a_request_to_upgrade_is_answered_as_if_it_asked_for_nothing(web: Web, name: str) -> None:
    """Java's client asks so in its first request, also where that is a POST (RFC 9110, 7.8)."""
    asks = (("Connection", "Upgrade, HTTP2-Settings"), (name, "h2c"), ("HTTP2-Settings", "AAA"))
    answer = web.exchange(request(stripe_event(f"evt_{name}"), *asks))
    assert answer is not None
    assert answer.status == 200
