"""Arrival of a request: its framing, byte by byte, until it is complete."""

import pytest

from hub.web.server.arrival import HEAD_MOST_BYTES, WHOLE_MOST_BYTES, Arrival

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKS = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n"

WHOLE = {
    "no body": HEAD + b"\r\n",
    "no headers": b"GET / HTTP/1.0\r\n\r\n",
    "a length": HEAD + b"content-LENGTH:  5 \r\n\r\nhello",
    "a length of nothing": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKS + b"5\r\nhello\r\n00A;x=y\r\n0\r\n\r\n12345\r\n0\r\n\r\n",
    "no chunk": CHUNKS + b"0\r\n\r\n",
    "trailers": CHUNKS + b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
}


@pytest.mark.parametrize("raw", WHOLE.values(), ids=WHOLE)
def test_a_request_is_whole_with_its_last_byte_and_not_before(raw: bytes) -> None:
    arrival = Arrival(0)
    for at in range(len(raw)):
        assert not arrival.is_whole, raw[:at]
        arrival.add(raw[at : at + 1])
    assert arrival.is_whole
    at_once = Arrival(0)
    at_once.add(raw)
    assert at_once.is_whole
    assert bytes(at_once.data) == raw


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Content-Length: five\r\n\r\n",
        HEAD + b"Content-Length : 5\r\n\r\n",
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        HEAD + b"Content-Length: %d\r\n\r\n" % (WHOLE_MOST_BYTES + 1),
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\nHost: a",
        CHUNKS + b"x\r\n",
        CHUNKS + b"\r\n",
        CHUNKS + b"fffffff\r\n",
        CHUNKS + b"5" * (HEAD_MOST_BYTES + 1),
    ],
)
def test_what_is_odd_is_handed_on_at_once(raw: bytes) -> None:
    arrival = Arrival(0)
    arrival.add(raw)
    assert arrival.is_whole


def test_a_head_without_an_end_is_too_large_at_some_point() -> None:
    arrival = Arrival(0)
    arrival.add(HEAD + b"a" * (HEAD_MOST_BYTES - len(HEAD)))
    assert not arrival.head_is_too_large
    arrival.add(b"a")
    assert arrival.head_is_too_large
    assert not arrival.is_whole


@pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_who_awaits_100_continue_hears_it_once(framing: bytes) -> None:
    arrival = Arrival(0)
    arrival.add(HEAD + b"Expect: 100-Continue\r\n" + framing + b"\r\n")
    assert arrival.awaits_continue
    assert not arrival.is_whole
    assert arrival.promise_continue() == len(b"\r\nExpect: 100-Continue")
    body = b"{}" if b"Length" in framing else b"2\r\n{}\r\n0\r\n\r\n"
    arrival.add(body)
    assert arrival.is_whole
    assert not arrival.awaits_continue
    assert bytes(arrival.data) == HEAD + framing + b"\r\n" + body


@pytest.mark.parametrize(
    ("field", "body", "complete"),
    [
        (b"Content-Length: 3", b"abc", True),
        (b"Content-Length: 3", b"abcd", False),
        (b"Content-Length: 3", b"ab", False),
        (b"Content-Length: 3\r\nExpect: 100-continue", b"abc", False),
        (b"Content-Length: 3\r\nContent-Length: 3", b"abc", False),
        (b"Transfer-Encoding: chunked", b"0\r\n\r\n", False),
        (b"X: y", b"", False),
    ],
)
def test_what_is_complete_is_so_beyond_doubt(field: bytes, body: bytes, complete: bool) -> None:
    arrival = Arrival(0)
    arrival.add(b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\n" + body)
    assert arrival.is_complete is complete


def test_what_has_come_is_told_in_two_parts() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n"
    arrival = Arrival(0)
    arrival.add(head + b"a\r\n\r\nbc")
    assert arrival.parts() == (head, b"a\r\n\r\nbc")
