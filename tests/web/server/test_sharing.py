"""Sharing of new connections among web processes: the less busy accept, and none is forgotten."""

import selectors
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker

from hub.web.server.sharing import LEAVE_MOST_S, SharingWorker


class Idle(SharingWorker):
    """Sharing worker without an arbiter, threads or an application; counts accepted connections."""

    def __init__(self, listener: socket.socket, *, workers: int = 2, answering: int = 0) -> None:
        self.cfg = SimpleNamespace(workers=workers)
        self.sockets = [listener]
        self.poller = selectors.DefaultSelector()
        self.nr_conns, self.worker_connections = 0, 10
        self._accepting = self._is_leaving = False
        self.answering, self._accept_from_s = set(range(answering)), 0.0

    def turn(self) -> None:
        """Run one iteration of the loop of `ThreadWorker.run`."""
        can_accept = self.nr_conns < self.worker_connections
        if can_accept != self._accepting:
            self.set_accept_enabled(can_accept)
        self.wait_for_and_dispatch_events(timeout=0.2)


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Idle]:
    """Record the workers that accepted connections, in order."""
    found: list[Idle] = []

    def accept(worker: Idle, listener: socket.socket) -> None:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return
        worker.nr_conns += 1
        found.append(worker)

    monkeypatch.setattr(ThreadWorker, "accept", accept)
    return found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def knock(listener: socket.socket) -> None:
    socket.create_connection(listener.getsockname()).close()


def test_a_worker_with_nothing_to_do_takes_a_connection_at_once(listener, taken) -> None:
    worker = Idle(listener)
    knock(listener)
    worker.turn()
    assert taken == [worker]


def test_a_worker_at_work_leaves_it_to_another(listener, taken) -> None:
    busy, idle = Idle(listener, answering=3), Idle(listener)
    knock(listener)
    busy.turn()
    assert taken == []
    idle.turn()
    assert taken == [idle]


def test_what_nobody_else_takes_is_not_left_for_long(listener, taken) -> None:
    worker = Idle(listener, answering=8)
    knock(listener)
    started_s = time.monotonic()
    while not taken and time.monotonic() < started_s + 10:
        worker.turn()
    assert taken == [worker]
    assert worker._accept_from_s - started_s <= LEAVE_MOST_S + 0.2
    knock(listener)
    while len(taken) < 2 and time.monotonic() < started_s + 10:
        worker.turn()
    assert len(taken) == 2


def test_the_only_worker_leaves_nothing(listener, taken) -> None:
    worker = Idle(listener, workers=1, answering=8)
    knock(listener)
    worker.turn()
    assert taken == [worker]


def test_a_worker_that_is_full_waits_and_does_not_spin(listener, taken) -> None:
    worker = Idle(listener, answering=8)
    knock(listener)
    worker.turn()
    worker.nr_conns = worker.worker_connections
    waited: list[float] = []
    worker.poller = SimpleNamespace(select=lambda timeout: waited.append(timeout) or [])
    worker.turn()
    assert waited == [0.2]
    assert taken == []


def test_a_worker_that_stops_takes_no_more(listener, taken) -> None:
    worker = Idle(listener, answering=8)
    knock(listener)
    worker.turn()
    worker.set_accept_enabled(False)
    worker.wait_for_and_dispatch_events(timeout=0.01)
    assert (taken, worker._accepting, worker._is_leaving) == ([], False, False)
