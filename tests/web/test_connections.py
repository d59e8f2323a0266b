"""Connections of the server: how many there may be, who gives way, and who does not read."""

import select
import signal
import socket
import sqlite3
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub.server import KEEP_ALIVE_S
from hub.web.http_protocol import PIPELINE_MOST, PIPELINE_MOST_BYTES
from tests.forked import Forked
from tests.running import RunningHub, stripe_event, until
from tests.web.conftest import FEW_CONNECTIONS, MOST_FILES
from tests.web.impatient import UNREAD_MOST_S
from tests.web.serving import CONFIG, Web, is_over, read_answer, request

# Less than any of the server's own timeouts.
SOON_S = KEEP_ALIVE_S - 1
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
STATIC = b"GET /static/vendor/htmx.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def is_closed(sock: socket.socket) -> bool:
    """Return whether the server has closed a connection; read what it said before."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


SILENT = {
    "nothing": b"",
    "half a head": HEALTH[:20],
    "half a body": request(b"x" * 100)[:-10],
    "an answered request": HEALTH,
}


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT)
def test_one_connection_too_many_ends_the_one_that_is_silent_for_longest(
    crowded_web: Web, said: bytes
) -> None:
    with ExitStack() as stack:
        first, *others = [stack.enter_context(crowded_web.connect()) for _ in range(2)]
        first.sendall(said)
        time.sleep(0.05)  # what the first one said arrives before the others
        others += [stack.enter_context(crowded_web.connect()) for _ in range(FEW_CONNECTIONS - 2)]
        for sock in others:
            sock.sendall(HEALTH)
            assert read_answer(sock, "GET").status == 200
        assert crowded_web.send(stripe_event(f"evt_crowded_{len(said)}")).status == 200
        until(lambda: is_closed(first), SOON_S, "the most silent one to be closed")
        assert not any(is_closed(sock) for sock in others[1:])


def test_those_who_are_silent_for_longest_give_way_one_for_each_new_one(crowded_web: Web) -> None:
    with ExitStack() as stack:
        old = [stack.enter_context(crowded_web.connect()) for _ in range(FEW_CONNECTIONS)]
        for sock in old:
            sock.sendall(HEALTH[:20])
            time.sleep(0.01)  # what they say arrives in this order
        for at in (2, 0):
            old[at].sendall(HEALTH[20:21])
            time.sleep(0.01)
        new = [stack.enter_context(crowded_web.connect()) for _ in range(5)]
        gone = [old[at] for at in (1, 3, 4, 5, 6)]
        until(lambda: all(is_closed(sock) for sock in gone), SOON_S, "five to be closed")
        assert not any(is_closed(sock) for sock in {*old, *new} - {*gone})
        for sock in (old[0], old[2]):
            sock.setblocking(True)
            sock.sendall(HEALTH[21:])
            assert read_answer(sock, "GET").status == 200


def test_a_process_opens_as_many_files_as_it_may_and_lets_more_connections_give_way(
    web_of_few_files: Web,
) -> None:
    most, web = MOST_FILES // 2, web_of_few_files
    with ExitStack() as stack:
        crowd = [stack.enter_context(web.connect()) for _ in range(MOST_FILES)]
        assert web.send(stripe_event("evt_beside_the_idle")).status == 200
        until(lambda: sum(map(is_closed, crowd)) > len(crowd) - most, SOON_S, "room")
        assert sum(map(is_closed, crowd)) <= len(crowd) - most + 1
        assert not any(is_closed(sock) for sock in crowd[-most + 1 :])
        assert web.send(stripe_event("evt_beside_the_idle_2")).status == 200
    assert "Too many open files" not in web.running.logs()


def test_what_waits_on_a_connection_for_the_answers_before_is_bounded(crowded_web: Web) -> None:
    path = crowded_web.running.environ["DATABASE_URL"].removeprefix("sqlite:///")
    before = crowded_web.ids()
    first, last = request(stripe_event("evt_first")), request(stripe_event("evt_last"))
    large = request(b"x" * 2 * PIPELINE_MOST_BYTES, path="/webhooks/large")
    with sqlite3.connect(path, isolation_level=None) as other, crowded_web.connect() as sock:
        other.execute("BEGIN IMMEDIATE")
        sock.sendall(first)
        time.sleep(0.1)  # it is being stored, and waits for the lock
        sock.sendall(large + last)
        sock.settimeout(SOON_S)
        time.sleep(0.1)
        other.execute("ROLLBACK")
        assert read_answer(sock).status == 200
        assert is_over(sock)
    assert len(crowded_web.kept(before).events) == 1


def test_a_client_that_leaves_with_answers_unread_is_no_defect(web: Web) -> None:
    """The one that is being sent, and those that wait behind it; the log says nothing of it."""
    for _ in range(5):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", web.port))
            sock.setblocking(False)
            _send_what_is_taken(sock, STATIC * (PIPELINE_MOST - 10))
            ports = (web.port, sock.getsockname()[1])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda ports=ports: ports not in connections(), SOON_S, "the server to let go")
    assert web.send(stripe_event("evt_after_the_deaf")).status == 200
    assert "ASGI callable" not in web.running.logs()


def test_whose_request_is_under_way_does_not_give_way(crowded_web: Web) -> None:
    path = crowded_web.running.environ["DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path, isolation_level=None) as other, ExitStack() as stack:
        other.execute("BEGIN IMMEDIATE")
        busy = [stack.enter_context(crowded_web.connect()) for _ in range(FEW_CONNECTIONS)]
        for n, sock in enumerate(busy):
            sock.sendall(request(stripe_event(f"evt_busy_{n}")))
        with crowded_web.connect() as newest:
            until(lambda: is_closed(newest), SOON_S, "the newest to be closed")
        other.execute("ROLLBACK")
        assert [read_answer(sock).status for sock in busy] == [200] * FEW_CONNECTIONS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has TCP_USER_TIMEOUT")
def test_a_client_that_reads_nothing_of_its_answers_is_ended(impatient_web: Web) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", impatient_web.port))
        sock.setblocking(False)
        asked = STATIC * 200
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_send_what_is_taken, sock, asked).result()
        ports = (impatient_web.port, sock.getsockname()[1])
        assert ports in connections()
        until(lambda: ports not in connections(), 10 * UNREAD_MOST_S, "the server to let go")
    assert impatient_web.running.get("/healthz") == 200


def test_clients_that_read_nothing_give_way_to_one_that_does(crowded_web: Web) -> None:
    with ExitStack() as stack:
        for _ in range(FEW_CONNECTIONS):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", crowded_web.port))
            sock.setblocking(False)
            _send_what_is_taken(sock, STATIC * PIPELINE_MOST)

        def is_served() -> bool:
            answer = crowded_web.exchange(request(stripe_event("evt_beside_the_deaf")))
            return answer is not None and answer.status == 200

        until(is_served, SOON_S, "a place for one who reads")


def connections() -> set[tuple[int, int]]:
    """Return the ports, near and far, of this machine's connections (proc(5), /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        (int(near.partition(":")[2], 16), int(far.partition(":")[2], 16))
        for _, near, far, *_ in rows
    }


def _send_what_is_taken(sock: socket.socket, data: bytes) -> None:
    until_s = time.monotonic() + 0.5
    writable = select.poll()  # `select` takes no descriptor beyond 1023
    writable.register(sock, select.POLLOUT)
    while data and time.monotonic() < until_s:
        if writable.poll(200):
            data = data[sock.send(data) :]


def test_a_port_that_is_taken_is_told_in_a_sentence(crowded_web: Web) -> None:
    running = crowded_web.running
    done = running.run("web")
    assert done.returncode == 2
    assert f"PORT: cannot listen on port {running.port}" in done.stderr


def test_who_comes_while_the_server_ends_is_refused_and_who_was_there_is_answered(
    tmp_path, sqlite_url, redis_url
) -> None:
    with RunningHub(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, config=CONFIG
    ) as running:
        running.start("web")
        web, process = Web(running, sqlite_url), running.processes["web"]
        assert isinstance(process, Forked)
        raw = request(stripe_event("evt_while_it_ends"))
        with web.connect() as sock:
            sock.sendall(raw[:-10])
            time.sleep(0.1)  # the server has begun to read it
            process.send_signal(signal.SIGTERM)

            def is_refused() -> bool:
                try:
                    web.connect().close()
                except ConnectionError:
                    return True
                return False

            until(is_refused, 10, "new connections to be refused")
            sock.sendall(raw[-10:])
            assert read_answer(sock).status == 200
        assert process.wait(20) == 0
        assert len(web.ids()) == 2  # the request, and its event
        web.store.engine.dispose()
