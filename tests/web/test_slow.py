"""Slow clients: they hold up no other request (B58 and B59), and get 408 in the end."""

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from hub.web.flask_threads import LINGER_S
from tests.cases import try_each
from tests.running import stripe_event, until
from tests.web.impatient import BODY_TIMEOUT_S, HEAD_TIMEOUT_S
from tests.web.serving import MAIL_SECRET, Web, read_answer, request

CROWD = 200
# Far below the hub's timeouts, far above the time of an answer on a busy machine.
AT_ONCE_S = 5
BODY = stripe_event("evt_slow")
LARGE = b'{"x": "' + b"x" * 1_500_000 + b'"}'
HEAD_END = b"\r\n\r\n"


def head(*headers: tuple[str, str]) -> bytes:
    return request(b"", *headers)


CHUNKED = head(("Transfer-Encoding", "chunked")).replace(b"Content-Length: 0\r\n", b"")
FORM = ("Content-Type", "multipart/form-data; boundary=x")

UNFINISHED = {
    "nothing": b"",
    "half a request line": b"POST /webhooks/str",
    "half a head": b"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0",
    "half a body": head(("Content-Length", "50")) + b"{}",
    "half a chunk": CHUNKED + b"32\r\n{}",
    "half a chunk's size": CHUNKED + b"3",
    "a chunk's size in many digits": CHUNKED + b"0000000000000000000000000032",
    "half a chunk's extension": CHUNKED + b"2;name=val",
    "a chunk without its end": CHUNKED + b"2\r\n{}",
    "half a trailer": CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: ",
    "a body that looks ended": CHUNKED + b"32\r\n0\r\n\r\n",
    "half a sign-in": request(b"", ("Content-Length", "2000000"), FORM, path="/sign-in")
    + b"--x\r\n",
    "half a form": request(b"", ("Content-Length", "1000"), FORM, path="/forms/contact")
    + b"--x\r\n",
    "half a form with files": request(b"", ("Content-Length", "1000"), FORM, path="/forms/job")
    + b"--x\r\n",
    "no body after 100-continue": head(("Content-Length", "50"), ("Expect", "100-continue")),
}

# Large ones, and those that are refused before their end.
LARGE_UNFINISHED = {
    "a large upload": request(
        b"",
        ("Content-Length", "1500000"),
        ("Content-Type", "multipart/form-data; boundary=b"),
        path="/forms/job",
    ),
    "a large webhook": request(b"", ("Content-Length", "1500000"), path="/webhooks/large"),
    "what is too large": head(("Content-Length", "1500000")),
    "a body for nobody": request(b"", ("Content-Length", "1500000"), path="/webhooks/nobody"),
}


@contextmanager
def crowd(web: Web, sent: bytes, size: int = CROWD) -> Iterator[list[socket.socket]]:
    """Open many connections that send these bytes and then nothing."""
    with ExitStack() as stack:
        socks = [stack.enter_context(web.connect()) for _ in range(size)]
        for sock in socks:
            sock.sendall(sent)
        yield socks


@pytest.mark.parametrize(
    "sent", [*UNFINISHED.values(), *LARGE_UNFINISHED.values()], ids=[*UNFINISHED, *LARGE_UNFINISHED]
)
def test_two_hundred_unfinished_requests_hold_up_nobody(web: Web, sent: bytes) -> None:
    before = web.ids()
    name = f"evt_between_{len(sent)}"
    with crowd(web, sent):
        started = time.monotonic()
        for n in range(3):
            assert web.send(stripe_event(f"{name}_{n}")).status == 200
        assert time.monotonic() - started < AT_ONCE_S
    assert len(web.kept(before).requests) == 3


def test_those_who_never_close_after_their_answer_hold_up_nobody(web: Web) -> None:
    with crowd(web, b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", 50) as socks:
        started = time.monotonic()
        assert web.send(stripe_event("evt_after_the_crowd")).status == 200
        assert time.monotonic() - started < AT_ONCE_S
        assert {read_answer(sock, "GET").status for sock in socks} == {200}


@pytest.mark.parametrize("sent", [b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n", b"nonsense\n"])
def test_who_never_closes_is_closed_after_a_while(web: Web, sent: bytes) -> None:
    with web.connect() as sock:
        sock.sendall(sent)
        while sock.recv(65536):
            pass

        def is_reset() -> bool:
            try:
                sock.sendall(b"x")
            except ConnectionError:
                return True
            return False

        until(is_reset, 5 * LINGER_S, "the server to close")


# Refused at once: a page takes no body as large as that.
BEGUN = [name for name, sent in UNFINISHED.items() if sent and name != "half a sign-in"]


def test_what_never_comes_is_408_and_nothing_is_stored(impatient_web: Web) -> None:
    """B58. All wait for their timeouts side by side."""

    def refused(name: str) -> None:
        started = time.monotonic()
        answer = impatient_web.exchange(UNFINISHED[name])
        assert answer is not None
        assert answer.status == 408
        assert time.monotonic() - started > HEAD_TIMEOUT_S - 0.1

    before = impatient_web.ids()
    with ThreadPoolExecutor(len(BEGUN)) as pool:
        try_each({name: pool.submit(refused, name).result for name in BEGUN})
    assert impatient_web.kept(before).requests == []


def test_a_body_of_one_byte_now_and_then_is_408(impatient_web: Web) -> None:
    """A timeout that restarts with every byte would never end."""
    with impatient_web.connect() as sock:
        sock.sendall(head(("Content-Length", "5000")))
        started = time.monotonic()
        answer = trickle(sock)
    assert answer == 408
    assert time.monotonic() - started < 4 * HEAD_TIMEOUT_S + AT_ONCE_S


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_that_stops_in_the_middle_is_408(impatient_web: Web, chunked: bool) -> None:
    """Bodies larger than the loop collects block a thread, under the watchdog."""
    before = impatient_web.ids()
    path = "/webhooks/large"
    if chunked:
        raw = request(b"", path=path, chunks=[LARGE])[:-1000]
    else:
        raw = request(LARGE, path=path)[:-1000]
    with impatient_web.connect() as sock:
        sock.sendall(raw)
        started = time.monotonic()
        assert trickle(sock) == 408
        assert time.monotonic() - started < 4 * BODY_TIMEOUT_S + AT_ONCE_S
    assert impatient_web.kept(before).requests == []
    assert impatient_web.send(LARGE, path=path).status == 200


def test_a_courier_of_mail_that_is_too_slow_is_asked_to_come_again(impatient_web: Web) -> None:
    """The courier drops for good what a 4xx refuses."""
    before = impatient_web.ids()
    with ExitStack() as stack:
        socks = []
        for size in (1000, 2_000_000):
            for path in ("/webhooks/mail", f"/webhooks/mail/{MAIL_SECRET}"):
                socks.append(stack.enter_context(impatient_web.connect()))
                socks[-1].sendall(request(b"x" * size, path=path)[:-10])
        answers = [read_answer(sock) for sock in socks]
    assert [answer.status for answer in answers] == [503] * 4
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert impatient_web.kept(before).requests == []


@pytest.mark.parametrize("size", [16, 64, 300])
def test_a_crowd_that_says_half_of_anything_is_ended(impatient_web: Web, size: int) -> None:
    kinds = [*UNFINISHED.values(), *LARGE_UNFINISHED.values()]
    with ExitStack() as stack:
        socks = [stack.enter_context(impatient_web.connect()) for _ in range(size)]
        for n, sock in enumerate(socks):
            sock.sendall(kinds[n % len(kinds)])
        assert impatient_web.running.get("/healthz") == 200
        assert impatient_web.send(stripe_event(f"evt_beside_{size}")).status == 200
        for sock in socks:
            sock.settimeout(5 * HEAD_TIMEOUT_S + AT_ONCE_S)
            while sock.recv(65536):
                pass  # the answer, and at last the end


def test_a_connection_that_says_nothing_is_closed_without_a_word(impatient_web: Web) -> None:
    with impatient_web.connect() as sock:
        assert sock.recv(100) == b""


def test_a_reset_in_the_middle_stores_nothing_and_leaks_nothing(web: Web) -> None:
    """B59."""
    before = web.ids()
    for raw in (request(BODY)[:-10], request(LARGE)[:-10], request(BODY, chunks=[BODY])[:-10]):
        for _ in range(20):
            sock = web.connect()
            sock.sendall(raw)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
    assert web.send(stripe_event("evt_after_resets")).status == 200
    kept = web.kept(before)
    assert len(kept.requests) == 1
    until(lambda: web.send(stripe_event("evt_once_more")).status == 200, 10, "a free connection")


def test_half_a_body_and_an_end_is_400(web: Web) -> None:
    before = web.ids()
    for raw in (request(BODY)[:-10], request(BODY, chunks=[BODY])[:-10]):
        with web.connect() as sock:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            assert read_answer(sock).status == 400
    assert web.kept(before).requests == []


def test_who_asks_first_is_told_to_go_on(web: Web) -> None:
    body = stripe_event("evt_continue")
    raw = request(body, ("Expect", "100-continue"))
    at = raw.index(HEAD_END) + len(HEAD_END)
    with web.connect() as sock:
        sock.sendall(raw[:at])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(raw[at:])
        assert read_answer(sock).status == 200


def test_a_request_in_many_small_pieces_is_taken(web: Web) -> None:
    for n, chunks in enumerate((None, [b'{"a"', b": 1", b"}"])):
        body = stripe_event(f"evt_pieces_{n}") if chunks is None else b"".join(chunks)
        raw = request(body, chunks=chunks)
        with web.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(raw), 7):
                sock.sendall(raw[at : at + 7])
            assert read_answer(sock).status == 200


def trickle(sock: socket.socket) -> int:
    """Send single bytes with pauses until there is an answer; return its status."""
    sock.settimeout(0.1)
    for _ in range(300):
        try:
            sock.sendall(b"x")
            if sock.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            return 0
    sock.settimeout(30)
    return read_answer(sock).status
