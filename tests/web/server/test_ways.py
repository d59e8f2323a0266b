"""Connection pool of the loop: whatever happens to a connection, each webhook is handed on once."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import pairwise
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from hub.gateways.line import LineError, StatementError
from hub.web.server import ways as module
from hub.web.server.arrival import Arrival
from hub.web.server.express import EXPRESS_MOST_BYTES, MOST_PARTS, ExpressWorker
from hub.web.server.sharing import SharingWorker
from hub.web.server.ways import LINES, ConnectionPool, PendingResponse


class Wire:
    """Database connection whose far end is the test: it returns or raises the test's values."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._coming: list[Any] = []
        self.is_sending = False
        self.is_closed = False

    def fileno(self) -> int:
        return self._near.fileno()

    def come(self, what: Any) -> None:
        self._coming.append(what)
        self._far.send(b"!")

    def receive(self) -> list[bytes] | None:
        self._near.recv(1)
        what = self._coming.pop(0)
        if isinstance(what, Exception):
            raise what
        return what  # type: ignore[no-any-return]

    def close(self) -> None:
        self.is_closed = True
        self._near.close()
        self._far.close()


class FakeExpress:
    """Fast path that opens wires, and records sent webhooks and their new ids."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.sent: list[tuple[Wire, Sequence[str]]] = []
        self.on_open: Callable[[], None] = lambda: None
        self.on_send: Callable[[], None] = lambda: None
        self.noted: list[tuple[Sequence[str], Sequence[bytes]]] = []

    def open_line(self) -> Wire:
        self.on_open()
        self.wires.append(Wire())
        return self.wires[-1]

    def send(self, line: Wire, together: Sequence[str]) -> None:
        self.on_send()
        self.sent.append((line, together))

    def note(self, together: Sequence[str], new_ids: Sequence[bytes]) -> None:
        self.noted.append((together, new_ids))


class AtOnce(Executor):
    def submit(self, function: Any, /, *args: Any, **options: Any) -> "Future[Any]":
        function(*args, **options)
        return Future()


class Loop:
    """Event loop that turns the selector, as the worker does."""

    def __init__(self) -> None:
        self.express = FakeExpress()
        self.poller = selectors.DefaultSelector()
        self.done: list[str] = []
        self.ways = ConnectionPool(self.express, self.poller, AtOnce(), self, self._on_written)  # type: ignore[arg-type]

    def defer(self, function: Callable[..., None], *args: Any) -> None:
        function(*args)

    def _on_written(self, exchanges: Sequence[PendingResponse]) -> None:
        self.done += [str(exchange.taken) for exchange in exchanges]

    def turn(self) -> None:
        for key, _ in self.poller.select(0.2):
            key.data(key.fileobj)

    def write(self, *names: str) -> None:
        self.ways.write([PendingResponse(name, None, keep=True) for name in names])  # type: ignore[arg-type]


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    loop.ways.open_when_due()
    assert loop.ways.are_open
    yield loop
    for wire in loop.express.wires:
        wire.close()
    loop.poller.close()


def test_what_is_written_on_each_line_is_handed_on_when_it_is(loop) -> None:
    loop.write("a", "b")
    loop.write("c")
    assert not loop.ways.has_free
    (first, _), (second, _) = loop.express.sent
    assert first is not second
    second.come([b"3"])
    loop.turn()
    assert (loop.done, loop.ways.has_free) == (["c"], True)
    first.come(None)  # the answer is not complete yet
    loop.turn()
    assert loop.done == ["c"]
    first.come([b"1", b"2"])
    loop.turn()
    assert loop.done == ["c", "a", "b"]
    assert loop.express.noted == [(["c"], [b"3"]), (["a", "b"], [b"1", b"2"])]


def test_a_refused_write_is_handed_on_unknown_and_its_line_goes_on(loop) -> None:
    loop.write("a", "b")
    loop.express.sent[0][0].come(StatementError())
    loop.turn()
    assert (loop.done, loop.express.noted) == (["a", "b"], [])
    loop.write("c")
    assert loop.express.sent[1][0] is loop.express.sent[0][0]
    assert loop.ways.are_open


def test_what_cannot_be_sent_is_handed_on_and_the_line_goes_on(loop) -> None:
    def fail() -> None:
        raise TypeError

    loop.express.on_send = fail
    loop.write("a", "b")
    assert (loop.done, loop.ways.are_open, loop.ways.has_free) == (["a", "b"], True, True)


@pytest.mark.parametrize("when", ["sending", "receiving", "late"])
def test_one_line_that_fails_ends_all_and_everything_is_handed_on(loop, monkeypatch, when) -> None:
    def fail() -> None:
        raise LineError

    loop.write("a")
    if when == "sending":
        loop.express.on_send = fail
        loop.write("b")
    elif when == "receiving":
        loop.write("b")
        loop.express.sent[0][0].come(LineError())
        loop.express.sent[1][0].come([b"1"])
        loop.turn()  # both are ready in one poll: the second is closed by then
    else:
        loop.write("b")
        assert 0 < loop.ways.left_s(60) <= module.PATIENCE_S
        now_s = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now_s + module.PATIENCE_S + 1)
        assert loop.ways.left_s(60) == 0
        loop.ways.look_for_late()
    assert sorted(loop.done) == ["a", "b"]
    assert not loop.ways.are_open
    assert all(wire.is_closed for wire in loop.express.wires)
    assert not loop.poller.get_map()


def test_nothing_is_late_that_nobody_waits_for(loop, monkeypatch) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 3600)
    loop.ways.look_for_late()
    assert (loop.ways.are_open, loop.ways.left_s(1.0)) == (True, 1.0)


def test_lines_are_opened_again_after_a_rest_and_a_longer_one_after_a_failure(
    loop, monkeypatch
) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    opened: list[float] = []

    def fail() -> None:
        opened.append(now_s)
        if len(opened) % LINES == 0:  # the last one of them
            raise LineError

    loop.express.on_open = fail
    start_s = now_s
    loop.ways.close("so says the test")
    for _ in range(200):
        loop.ways.open_when_due()
        now_s += 0.1
    assert not loop.ways.are_open
    assert all(wire.is_closed for wire in loop.express.wires)
    begun = [at - start_s for at in opened[::LINES]]
    assert begun[0] == pytest.approx(module.REST_S, abs=0.2)
    waits = [later - earlier for earlier, later in pairwise(begun)]
    assert waits == pytest.approx([module.REST_AFTER_FAILURE_S] * len(waits), abs=0.2)
    assert len(waits) >= 2
    loop.express.on_open = lambda: None
    now_s += module.REST_AFTER_FAILURE_S
    loop.ways.open_when_due()
    assert loop.ways.are_open


class Flooded(ExpressWorker):
    """Express worker that finds one more request whenever it polls."""

    def __init__(self) -> None:
        self._ways = SimpleNamespace(
            left_s=lambda most_s: most_s, look_for_late=self._note, are_open=True, has_free=True
        )
        self._ready, self._begun = [(None, b"", b"")], []
        self.turns = 0

    def _note(self) -> None:
        self.turns += 1

    def _begin(self, conn: Any, head: bytes, body: bytes) -> None:
        """Leave the request to a thread."""


def test_a_flood_of_requests_for_the_threads_does_not_keep_the_loop(monkeypatch) -> None:
    def one_more(worker: Flooded, timeout: float) -> None:
        worker._ready.append((None, b"", b""))
        time.sleep(0.001)  # reading a request takes time

    monkeypatch.setattr(SharingWorker, "wait_for_and_dispatch_events", one_more)
    worker = Flooded()
    turning = Thread(target=lambda: [worker.wait_for_and_dispatch_events(1) for _ in range(3)])
    turning.daemon = True
    turning.start()
    turning.join(20)
    assert worker.turns == 3


HEAD = "POST /webhooks/stripe HTTP/1.1\r\nContent-Length: {}\r\n\r\n"
ROOM = EXPRESS_MOST_BYTES - len(HEAD.format(10_000))


@pytest.mark.parametrize(
    ("head", "body", "goes"),
    [
        (HEAD, b"", True),
        (HEAD, b"x" * ROOM, True),
        (HEAD, b"x" * (ROOM + 1), False),
        (HEAD, b"0," * MOST_PARTS, True),
        (HEAD, b"0," * (MOST_PARTS + 1), False),
        (HEAD.replace("POST", "GET"), b"", False),
        (HEAD.replace("/webhooks/", "/forms/"), b"", False),
    ],
)
def test_only_what_is_read_in_no_time_goes_the_short_way(head, body, goes) -> None:
    arrival = Arrival(0)
    arrival.add(head.format(len(body)).encode() + body)
    worker = Flooded()
    worker._ways.open_when_due = lambda: None
    worker._ready.clear()
    worker.alive = True
    assert worker.takes_express(None, arrival) is goes
    assert worker._ready == ([(None, *arrival.parts())] if goes else [])
    worker.alive = False
    assert not worker.takes_express(None, arrival)
