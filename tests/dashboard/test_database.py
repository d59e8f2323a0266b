"""Session of a request: one connection, read in autocommit mode, and none where it is not used."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, insert, select, text

from hub.core.auth import users
from hub.core.auth.roles import Role
from hub.core.models import Lane
from hub.gateways import destination_client
from hub.gateways.database.engine import open_database
from hub.settings import WEB_THREADS
from hub.web import batch_writer, database
from hub.web.dashboard import account, events, sources, welcome
from hub.web.database import db, writing
from tests.dashboard.board import Board
from tests.dashboard.people import PASSWORD, add, fields, signed_in
from tests.running import PLAIN, stripe_event, stripe_signature

FORM = PLAIN.replace(
    "destinations:", "  contact: {adapter: form, fields: {name: {}}}\ndestinations:"
)
THREADS = WEB_THREADS + batch_writer.THREADS  # as many as the pool has connections
SLEEP = text("SELECT pg_sleep(5)")


@pytest.fixture
def admin(board: Board) -> FlaskClient:
    return board.client(Role.ADMIN)


def pause(board: Board, client: FlaskClient) -> int:
    answer = client.post("/destinations/ops/pause", data={"csrf_token": board.csrf()})
    return answer.status_code


@pytest.mark.parametrize(
    "path", ["/", "/events", "/deliveries", "/sources/stripe", "/destinations/ops", "/metrics"]
)
def test_a_page_takes_one_connection_and_gives_it_back(board, admin, path) -> None:
    assert admin.get(path).status_code == 200
    assert (board.connections.taken, board.connections.held) == (1, 0)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_page_that_fails_gives_its_connection_back(board, admin, monkeypatch, error) -> None:
    def fail(connection: Connection, *_: Any, **__: Any) -> None:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        raise error

    monkeypatch.setattr(events, "list_events", fail)
    if issubclass(error, Exception):
        assert admin.get("/events").status_code == 500
    else:
        with pytest.raises(error):
            admin.get("/events")
    assert (board.connections.taken, board.connections.held) == (1, 0)


def test_health_pages_webhooks_and_forms_open_no_session(make_board, redis_url) -> None:
    board: Board = make_board(FORM)
    sessions = []
    # Called before the extension removes the session: the last to be registered is the first.
    board.app.teardown_appcontext(lambda _: sessions.append(db.session.registry.has()))
    client, body = board.client(None), stripe_event("evt_1")
    signed = {"Stripe-Signature": stripe_signature(body)}
    statuses = [
        client.get("/healthz").status_code,
        client.get("/readyz").status_code,
        client.post("/webhooks/stripe", data=body, headers=signed).status_code,
        client.post("/webhooks/stripe", data=body).status_code,
        client.post("/forms/contact", data={"name": "Jane"}).status_code,
    ]
    assert statuses == [200, 200, 200, 401, 200]
    assert sessions == [False] * 5
    board.client(Role.ADMIN).get("/events")
    assert sessions[5:] == [True]


def test_no_transaction_is_open_between_two_reads(board) -> None:
    with board.app.test_request_context():
        connection = db.session.connection()
        connection.execute(select(Lane.destination)).all()
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            assert not driver.in_transaction
        else:
            assert driver.info.transaction_status == TransactionStatus.IDLE
        assert db.session.connection() is connection


def test_a_request_sees_what_others_and_it_itself_have_written_since(board, database_url) -> None:
    others = open_database(database_url)

    def lanes() -> set[str]:
        return set(db.session.connection().execute(select(Lane.destination)).scalars())

    with board.app.test_request_context():
        assert lanes() == {"ops"}
        with others.write() as other:  # what is read holds up no writer
            other.execute(insert(Lane).values(destination="others"))
        assert lanes() == {"ops", "others"}
        with writing() as connection:
            connection.execute(insert(Lane).values(destination="own"))
        assert lanes() == {"ops", "others", "own"}
    others.engine.dispose()


def test_requests_that_read_and_then_write_never_wait_for_each_other(board, monkeypatch) -> None:
    held: list[int] = []
    all_hold_one = threading.Barrier(THREADS, timeout=30)
    view = board.app.view_functions["dashboard.pause"]

    @wraps(view)
    def wait_and_pause(slug: str) -> Any:
        all_hold_one.wait()
        held.append(board.connections.held)
        return view(slug)

    monkeypatch.setitem(board.app.view_functions, "dashboard.pause", wait_and_pause)
    clients = [board.client(Role.ADMIN) for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        found = [threads.submit(pause, board, one) for one in clients]
    assert [one.result() for one in found] == [303] * THREADS
    assert held[0] == THREADS


@pytest.mark.parametrize(
    ("module", "name", "path", "form"),
    [
        (destination_client, "probe", "/destinations/ops/check", {}),
        (sources, "_post", "/sources/stripe/sample", {}),
        (account, "hash_password", "/account/password", {"old": PASSWORD}),
        (welcome, "hash_password", "/welcome/{token}", {"name": "lee"}),
    ],
)
def test_no_connection_waits_for_a_call_or_a_hash(
    board, monkeypatch, module, name, path, form
) -> None:
    held, made = [], getattr(module, name)

    def noted(*given: Any, **named: Any) -> Any:
        found = made(*given, **named)
        held.append(board.connections.held)
        return found

    monkeypatch.setattr(module, name, noted)
    if "token" in path:
        with board.hub.store.write() as connection:
            path = path.format(token=users.invite_first(connection, now=datetime.now(UTC)))
        client = board.client(None)
        form |= fields(client, "/sign-in")
    else:
        add(board)
        client = signed_in(board)
        form |= fields(client, "/account")
    new = {"password": "a rather new pass phrase", "again": "a rather new pass phrase"}
    assert client.post(path, data=form | new).status_code == 303
    assert held == [0]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_connection_is_503_once(board, admin, database_url) -> None:
    assert admin.get("/events").status_code == 200
    with psycopg.connect(database_url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    lost = admin.get("/events")
    assert (lost.status_code, lost.headers["Retry-After"]) == (503, "10")
    assert admin.get("/events").status_code == 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_page_is_503_when_a_round_trip_takes_too_long(monkeypatch, make_board) -> None:
    monkeypatch.setattr(database, "WEB_ROUND_TRIP_S", 0.2)
    board: Board = make_board()
    client = board.client(Role.ADMIN)
    with monkeypatch.context() as patched:
        patched.setattr(
            events, "list_events", lambda connection, *_, **__: connection.execute(SLEEP).all()
        )
        assert client.get("/events").status_code == 503
    assert client.get("/events").status_code == 200
