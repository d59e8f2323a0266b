"""Server on a real socket and PostgreSQL: answers in order, and a loop that never blocks."""

import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from hub.core.models import StoredEvent
from hub.gateways.database.loop_connection import APPLICATION_NAME, REST_S
from hub.settings import WEB_THREADS
from tests.core.making import deliveries_of, events_of
from tests.running import stripe_event, until
from tests.web.serving import Web, is_over, read_answer, request

# Database connection of the loop.
OURS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    f"AND application_name = '{APPLICATION_NAME}'"
)


@contextmanager
def admin_of(web: Web) -> Iterator[psycopg.Connection]:
    url = web.running.environ["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def webhook(event_id: str, *headers: tuple[str, str]) -> bytes:
    return request(stripe_event(event_id), *headers)


@pytest.fixture
def web(postgresql_web: Web) -> Web:
    """Return the web process, whose loop has its database connection."""
    with admin_of(postgresql_web) as admin:

        def has_connection() -> bool:
            """Return whether the connection is open, and has just run a statement."""
            before = admin.execute(f"SELECT max(query_start), count(*) {OURS}").fetchone()
            assert postgresql_web.exchange(webhook(f"evt_warm_{time.monotonic_ns()}")).status == 200
            after = admin.execute(f"SELECT max(query_start), count(*) {OURS}").fetchone()
            has_run = before[0] is not None and after[0] > before[0]
            return before[1] == after[1] == 1 and has_run

        until(has_connection, 20, "the loop's connection")
    return postgresql_web


def stored(web: Web, ids: Sequence[str]) -> list[str]:
    """Return the events out of these that are stored with their delivery, in the order given."""
    with web.store.read() as connection:
        events: dict[str, StoredEvent] = {one.external_id: one for one in events_of(connection)}
        with_delivery = {one.event_id for one in deliveries_of(connection)}
    return [name for name in ids if name in events and events[name].id in with_delivery]


def statuses(sock: socket.socket, count: int) -> list[int]:
    """Return the statuses of consecutive answers on one connection."""
    found = []
    with sock.makefile("rb") as stream:
        for _ in range(count):
            found.append(int(stream.readline().split()[1]))
            length = 0
            while (field := stream.readline().strip().lower()) != b"":
                if field.startswith(b"content-length:"):
                    length = int(field.partition(b":")[2])
            stream.read(length)
    return found


def test_webhooks_are_stored_by_the_loop_itself(web: Web) -> None:
    with admin_of(web) as admin:
        last = f"SELECT max(query_start) {OURS}"
        before = admin.execute(last).fetchone()
        assert web.exchange(webhook("evt_short")).status == 200
        assert admin.execute(last).fetchone() > before
    assert stored(web, ["evt_short"]) == ["evt_short"]


def test_one_behind_the_other_on_one_connection_are_answered_in_turn(web: Web) -> None:
    ids = [f"evt_pipe_{n}" for n in range(60)]
    with web.connect() as sock:
        sock.sendall(b"".join(webhook(name) for name in ids))
        assert statuses(sock, 60) == [200] * 60
    assert stored(web, ids) == ids


def test_a_connection_may_serve_webhooks_and_others_in_turn(web: Web) -> None:
    bad = request(stripe_event("evt_bad"), ("Stripe-Signature", "t=1,v1=00"))
    large = request(stripe_event("evt_large", note="x" * 40_000))
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    chunked = request(b"", ("Stripe-Signature", "t=1,v1=00"), chunks=[stripe_event("evt_c")])
    asked = [webhook("evt_1"), bad, webhook("evt_2"), health, large, webhook("evt_3"), chunked]
    wanted = [200, 401, 200, 200, 200, 200, 401]
    with web.connect() as sock:
        for one, status in zip(asked, wanted, strict=True):
            sock.sendall(one)
            assert read_answer(sock).status == status
        assert is_over(sock)  # after an error in answer to chunks
    with web.connect() as sock:
        sock.sendall(b"".join(asked[:4]))
        assert statuses(sock, 4) == wanted[:4]
    names = ["evt_1", "evt_2", "evt_3", "evt_large"]
    assert stored(web, names) == names


def test_a_webhook_in_two_pieces_and_one_that_says_close(web: Web) -> None:
    whole = webhook("evt_pieces")
    with web.connect() as sock:
        sock.sendall(whole[:100])
        time.sleep(0.05)  # so that they arrive as two
        sock.sendall(whole[100:] + webhook("evt_next", ("Connection", "close"))[:50])
        assert read_answer(sock).status == 200
        sock.sendall(webhook("evt_next", ("Connection", "close"))[50:])
        answer = read_answer(sock)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert sock.recv(1) == b""
    assert stored(web, ["evt_pieces", "evt_next"]) == ["evt_pieces", "evt_next"]


def test_who_leaves_before_the_answer_is_stored_and_nobody_else_notices(web: Web) -> None:
    gone = [f"evt_gone_{n}" for n in range(20)]
    there = [f"evt_there_{n}" for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(web.exchange, webhook(name)) for name in there]
        for name in gone:
            with web.connect() as sock:
                sock.sendall(webhook(name))
        assert [one.result().status for one in answers] == [200] * 20
    assert stored(web, there) == there
    until(lambda: stored(web, gone) == gone, 10, "what nobody waited for")


def test_the_same_at_once_from_many_is_one(web: Web) -> None:
    body = request(stripe_event("evt_same"))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: web.exchange(body), range(64)))
    assert {one.status for one in answers} == {200}
    with web.store.read() as connection:
        [event] = [one for one in events_of(connection) if one.external_id == "evt_same"]
        assert len([one for one in deliveries_of(connection) if one.event_id == event.id]) == 1
    assert event.duplicates == 63


def test_while_all_threads_wait_for_the_database_the_process_is_alive(web: Web) -> None:
    """Pages and refusals wait in them, and `/healthz` does not."""
    with admin_of(web) as admin, psycopg.connect(admin.info.dsn) as locker:
        locker.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        with ExitStack() as stack:
            for _ in range(2 * WEB_THREADS):
                sock = stack.enter_context(web.connect())
                sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            waiting = "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            until(lambda: len(admin.execute(waiting).fetchall()) == WEB_THREADS, 5, "all to wait")
            before = {*admin.execute(waiting).fetchall()}
            assert web.running.get("/healthz") == 200
            assert {*admin.execute(waiting).fetchall()} == before
            locker.rollback()


def test_while_the_database_keeps_one_waiting_the_loop_serves_the_others(web: Web) -> None:
    with admin_of(web) as admin, psycopg.connect(admin.info.dsn) as locker:
        locker.execute("LOCK TABLE event_keys IN SHARE MODE")
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(web.exchange, webhook(f"evt_wait_{n}")) for n in range(4)]
            blocked = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            until(lambda: admin.execute(blocked).fetchone() == (True,), 5, "somebody to wait")
            took_s = []
            until_s = time.monotonic() + 0.8
            while time.monotonic() < until_s:
                started_s = time.monotonic()
                assert web.running.get("/healthz") == 200
                took_s.append(time.monotonic() - started_s)
            assert sorted(took_s)[len(took_s) // 2] < 0.1
            locker.rollback()
            assert [one.result().status for one in waiting] == [200] * 4
    names = [f"evt_wait_{n}" for n in range(4)]
    assert stored(web, names) == names


def test_a_connection_that_breaks_loses_nothing_and_comes_back(web: Web) -> None:
    sent: list[tuple[str, Any]] = []

    def send(name: str) -> None:
        sent.append((name, web.exchange(webhook(name))))

    with admin_of(web) as admin, ThreadPoolExecutor(8) as pool:
        for turn in range(3):
            futures = [pool.submit(send, f"evt_cut_{turn}_{n}") for n in range(60)]
            until(lambda t=turn: len(sent) > 60 * t + 10, 20, "webhooks under way")
            admin.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
            for future in futures:
                future.result()

            def is_back(t: int = turn) -> bool:
                name = f"evt_back_{t}_{time.monotonic_ns()}"
                assert web.exchange(webhook(name)).status == 200
                return admin.execute(f"SELECT count(*) {OURS}").fetchone() == (1,)

            until(is_back, REST_S + 20, "the connection")
    assert {answer.status for _, answer in sent} == {200}
    names = [name for name, _ in sent]
    assert stored(web, names) == names
    with web.store.read() as connection:
        counts = {one.external_id: one.duplicates for one in events_of(connection)}
    assert {counts[name] for name in names} == {0}, "what was written twice is nobody's duplicate"


def test_an_event_that_the_database_refuses_harms_nobody_elses(web: Web) -> None:
    with admin_of(web) as admin:
        admin.execute("ALTER TABLE events ADD CONSTRAINT no CHECK (external_id <> 'evt_refused')")
        names = [f"evt_beside_{n}" for n in range(30)]
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(web.exchange, webhook(name)) for name in names]
            assert web.exchange(webhook("evt_refused")).status == 503
            assert [one.result().status for one in answers] == [200] * 30
        admin.execute("ALTER TABLE events DROP CONSTRAINT no")
    assert stored(web, [*names, "evt_refused"]) == names
