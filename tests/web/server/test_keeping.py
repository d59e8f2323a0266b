"""Connections handed to threads: the loop neither watches them nor waits for them."""

import socket
import struct
from collections.abc import Iterator
from selectors import DefaultSelector

import pytest
from gunicorn.workers.gthread import TConn, ThreadWorker

from hub.web.server import express as module
from hub.web.server.express import ExpressWorker
from tests.web.server.test_head import CLIENT, CONFIG

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Bare(ExpressWorker):
    """Express worker without an arbiter, threads or an application."""

    def __init__(self) -> None:
        self.poller = DefaultSelector()
        self._watched, self._leaving, self.answering = set(), {}, set()
        self.nr_conns = 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bare]:
    monkeypatch.setattr(ThreadWorker, "enqueue_req", lambda *_: None)
    worker = Bare()
    yield worker
    worker.poller.close()


def connection() -> tuple[TConn, socket.socket]:
    near, far = socket.socketpair()
    return TConn(CONFIG, near, CLIENT, ("127.0.0.1", 80)), far


def test_the_number_of_what_a_thread_closed_may_come_again(worker) -> None:
    """Connections are closed in their thread by gunicorn when an answer fails half-way."""
    old, far = connection()
    with far:
        worker.watch(old)
        worker.answering.add(old)
        worker.take_in_thread(old, GET)
        number = old.sock.fileno()
        old.sock.close()
        new, other = connection()
        with new.sock, other:
            assert number in (new.sock.fileno(), other.fileno())
            worker.watch(new if new.sock.fileno() == number else TConn(CONFIG, other, CLIENT, None))
            worker.end_exchange(old, keep=False)
            assert worker.nr_conns == 0
            assert number in worker.poller.get_map()


def test_a_thread_does_not_wait_for_long_for_a_peer_that_reads_nothing(worker, monkeypatch) -> None:
    def handle_request(_: Bare, __: object, conn: TConn) -> None:
        conn.sock.sendall(b"x" * 50_000_000)

    monkeypatch.setattr(module, "_SEND_TIMEOUT", struct.pack("ll", 0, 100_000))
    monkeypatch.setattr(ThreadWorker, "handle_request", handle_request)
    conn, far = connection()
    conn.sock.setblocking(True)
    with far, conn.sock, pytest.raises(BrokenPipeError):  # gunicorn sees a disconnect, and closes
        worker.handle_request(None, conn)
