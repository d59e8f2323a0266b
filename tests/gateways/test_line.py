"""Non-blocking PostgreSQL connection for an event loop, against a real server."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from threading import Event, Thread

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.pq import Format
from sqlalchemy import make_url

from hub.gateways.line import Line, LineError, StatementError, bytea_array

ECHO = "SELECT unnest($1::bytea[])"
DIVIDE = "SELECT int4send(100 / $1::int)"
MEASURE = "SELECT int4send(length($1::bytea))"
PATIENCE_S = 20

Open = Callable[[str], Line]


@pytest.fixture
def open_line(postgresql_url: str) -> Iterator[Open]:
    lines: list[Line] = []

    def open_(statement: str) -> Line:
        lines.append(Line.open(postgresql_url, statement, lock_timeout_s=1))
        return lines[-1]

    yield open_
    for line in lines:
        line.close()


def answer(line: Line) -> list[bytes]:
    """Poll a connection as a loop does, until its answer is complete."""
    with DefaultSelector() as poller:
        while True:
            events = EVENT_READ | EVENT_WRITE if line.is_sending else EVENT_READ
            poller.register(line, events)
            assert poller.select(PATIENCE_S), "nothing came"
            poller.unregister(line)
            if (found := line.receive()) is not None:
                return found


@settings(max_examples=60)
@given(groups=st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=20), max_size=3))
def test_what_goes_in_comes_back(echoing: Line, groups: list[list[bytes]]) -> None:
    for values in groups:
        echoing.send([bytea_array(values)], [Format.BINARY])
        assert answer(echoing) == values


@pytest.fixture(scope="module")
def echoing(postgres_server, _postgresql_template) -> Iterator[Line]:
    name = postgres_server.create_database(template=_postgresql_template)
    url = postgres_server.url(name).replace("postgresql://", "postgresql+psycopg://")
    line = Line.open(url, ECHO, lock_timeout_s=1)
    yield line
    line.close()
    postgres_server.drop_database(name)


def test_what_is_larger_than_the_socket_takes_is_sent_bit_by_bit(open_line: Open) -> None:
    line = open_line(MEASURE)
    size = 60_000_000
    line.send([bytes(size)], [Format.BINARY])
    assert line.is_sending
    assert answer(line) == [size.to_bytes(4, "big")]
    assert not line.is_sending


def test_a_refused_statement_leaves_the_line_as_it_was(open_line: Open) -> None:
    line = open_line(DIVIDE)
    line.send([b"0"], [Format.TEXT])
    with pytest.raises(StatementError):
        answer(line)
    line.send([b"5"], [Format.TEXT])
    assert answer(line) == [(20).to_bytes(4, "big")]


def test_a_line_that_is_not_asked_has_nothing_to_say(open_line: Open) -> None:
    assert open_line(DIVIDE).receive() is None


@pytest.mark.parametrize("under_way", [True, False])
def test_a_line_that_the_server_ends_is_broken(
    open_line: Open, postgresql_url: str, under_way: bool
) -> None:
    line = open_line("SELECT int4send(1) FROM pg_sleep($1::int)")
    if under_way:
        line.send([b"60"], [Format.TEXT])
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    with pytest.raises(LineError):
        answer(line)
    with pytest.raises(LineError):
        line.send([b"0"], [Format.TEXT])
    assert line.fileno() > 0, "who watches it must be able to stop"


@pytest.mark.parametrize(
    ("spoil", "statement"),
    [(lambda url: f"{url}_which_is_not_there", ECHO), (lambda url: url, "SELECT nobody($1)")],
    ids=["no such database", "no such function"],
)
def test_what_cannot_be_opened_says_so(postgresql_url, spoil, statement) -> None:
    with pytest.raises(LineError):
        Line.open(spoil(postgresql_url), statement, lock_timeout_s=1)


def test_what_fails_at_its_commit_was_not_done(open_line: Open, postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(DEFERRED)
        line = open_line("INSERT INTO noted SELECT $1::int RETURNING int4send(n)")
        for number in (b"1", b"2"):
            line.send([number], [Format.TEXT])
            if number == b"1":
                with pytest.raises(StatementError):
                    answer(line)
            else:
                assert answer(line) == [(2).to_bytes(4, "big")]
        assert admin.execute("SELECT n FROM noted").fetchall() == [(2,)]


DEFERRED = """
CREATE TABLE noted (n int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.n = 1 THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON noted DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION refuse();
"""
# The server's ready message: it can take the next statement.
READY = b"Z\x00\x00\x00\x05I"


class Holding:
    """TCP proxy before a server that can hold back its ready message."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.may_pass = Event()
        self.may_pass.set()
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._port))
        Thread(target=self._pump, args=(client, server), daemon=True).start()
        self._pump(server, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if data.endswith(READY) and not self.may_pass.is_set():
                    target.sendall(data[: -len(READY)])
                    self.may_pass.wait(PATIENCE_S)
                    data = READY
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


def test_rows_without_the_word_that_they_are_committed_keep_nobody_waiting(
    postgresql_url: str,
) -> None:
    url = make_url(postgresql_url)
    between = Holding(url.port)
    line = Line.open(
        url.set(port=between.port).render_as_string(hide_password=False), DIVIDE, lock_timeout_s=1
    )
    between.may_pass.clear()
    line.send([b"5"], [Format.TEXT])
    with DefaultSelector() as poller:
        poller.register(line, EVENT_READ)
        assert poller.select(PATIENCE_S)
        started_s = time.monotonic()
        assert line.receive() is None
        assert time.monotonic() - started_s < PATIENCE_S / 2
        between.may_pass.set()
    assert answer(line) == [(20).to_bytes(4, "big")]
    line.close()
    between.close()
