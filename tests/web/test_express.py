"""Fast path of webhooks: its answers and rows are those of the application."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.models import StoredRequest
from hub.gateways.line import Line
from hub.web.express import FastPath, PendingWebhook
from hub.web.server.arrival import Arrival
from hub.web.server.head import read_head
from tests.core.making import deliveries_of, events_of, requests_of
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import MAIL_SECRET, PREVIOUS_SECRET, Answer
from tests.web.test_fuzz import HEADERS, PATHS, events

# Columns that differ between two requests for two events.
VARYING = {"id", "request_id", "event_id", "external_id", "received_at", "created_at", "since",
           "next_attempt_at", "url", "headers", "body", "data", "occurred_at"}  # fmt: skip


@pytest.fixture(scope="module")
def app(
    postgres_server, _postgresql_template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    name = postgres_server.create_database(template=_postgresql_template)
    folder: Path = tmp_path_factory.mktemp("app")
    app = make_app(folder, postgres_server.url(name))
    yield app
    app.extensions["hub"].store.engine.dispose()
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def express(app: Flask) -> FastPath:
    found = app.extensions["hub_fast_path"]
    assert isinstance(found, FastPath)
    return found


@pytest.fixture(scope="module")
def line(express: FastPath) -> Iterator[Line]:
    line = express.open_line()
    yield line
    line.close()


def begin(
    express: FastPath,
    body: bytes,
    headers: Mapping[str, str],
    *,
    path: str = "/webhooks/stripe",
    method: str = "POST",
) -> PendingWebhook | None:
    """Parse a request and begin with it, as the loop does with bytes from the wire."""
    fields = {"host": "127.0.0.1", "content-length": str(len(body))}
    fields |= {name.lower(): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    arrival = Arrival(0)
    arrival.add("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    if not arrival.is_complete:
        return None
    head_bytes, body = arrival.parts()
    head = read_head(head_bytes)
    return head and express.begin(head, body)


def signed(body: bytes, **headers: str) -> dict[str, str]:
    return {"Stripe-Signature": stripe_signature(body), **headers}


def write(express: FastPath, line: Line, *taken: PendingWebhook) -> None:
    """Write webhooks on a connection, as the loop does."""
    express.send(line, taken)
    with DefaultSelector() as poller:
        poller.register(line, EVENT_READ)
        while True:
            assert poller.select(20), "nothing came"
            if (new_ids := line.receive()) is not None:
                express.note(taken, new_ids)
                return


def take(express: FastPath, event_id: str, **changes: Any) -> PendingWebhook:
    body = stripe_event(event_id, **changes)
    taken = begin(express, body, signed(body))
    assert taken is not None
    return taken


def rows_of(app: Flask, event_id: str) -> list[dict[str, Any]]:
    """Return the rows of an event, without the columns that differ from event to event."""
    with app.extensions["hub"].store.read() as connection:
        [event] = [one for one in events_of(connection) if one.external_id == event_id]
        [request] = [one for one in requests_of(connection) if one.id == event.request_id]
        found = [one for one in deliveries_of(connection) if one.event_id == event.id]
    assert request.event_id == event.id
    assert event_id.encode() in request.body
    rows = [dict(row._mapping) for row in (event, request, *found)]
    return [{name: row[name] for name in sorted(row) if name not in VARYING} for row in rows]


def test_both_ways_leave_the_same_behind_and_say_the_same(app, express, line) -> None:
    bodies = [stripe_event(f"evt_way_{n}", id=f"evt_way_{n}") for n in (1, 2)]
    taken = begin(express, bodies[0], signed(bodies[0]))
    assert taken is not None
    write(express, line, taken)
    assert taken.is_stored
    status, headers, body = express.answer(taken)
    said = Answer(status, {name.lower(): value for name, value in headers}, body)
    assert said == call(app, bodies[1], signed(bodies[1]))
    assert rows_of(app, "evt_way_1") == rows_of(app, "evt_way_2")
    assert len(rows_of(app, "evt_way_1")) == 3


def test_many_are_one_write_and_each_gets_its_verdict(app, express, line) -> None:
    taken = [take(express, f"evt_many_{n}") for n in (1, 2, 2, 3)]
    write(express, line, *taken)
    assert [one.is_stored for one in taken] == [True, True, False, True]
    assert [express.answer(one)[0] for one in taken] == [200] * 4
    with app.extensions["hub"].store.read() as connection:
        found = {one.external_id: one.duplicates for one in events_of(connection)}
        states = [
            one.state for one in requests_of(connection) if b"evt_many_2" in (one.body or b"")
        ]
    assert [found[f"evt_many_{n}"] for n in (1, 2, 3)] == [0, 1, 0]
    assert states == ["accepted"]  # a duplicate's body is not kept twice


@pytest.mark.parametrize("was_stored", [True, False])
def test_what_may_be_stored_is_stored_again_and_is_there_once(
    app, express, line, was_stored
) -> None:
    name = f"evt_doubt_{was_stored}"
    taken = take(express, name)
    if was_stored:
        write(express, line, taken)
        taken.new = None  # as if the answer had been lost
    assert express.answer(taken)[0] == 200
    with app.extensions["hub"].store.read() as connection:
        [event] = [one for one in events_of(connection) if one.external_id == name]
        assert event.duplicates == 0
        assert len([one for one in deliveries_of(connection) if one.event_id == event.id]) == 1
        assert [one.id for one in requests_of(connection) if one.event_id == event.id] == [
            event.request_id
        ]


def test_a_failure_is_answered_as_the_application_answers_it(app, express, monkeypatch) -> None:
    taken = take(express, "evt_fails")
    with app.extensions["hub"].store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO gone")
    try:
        status, headers, body = express.answer(taken)
        text = stripe_event("evt_fails_too")
        other = call(app, text, signed(text))
    finally:
        with app.extensions["hub"].store.write() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO deliveries")
    said = {name.lower(): value for name, value in headers}
    assert Answer(status, said, body) == other
    assert (status, said["retry-after"]) == (503, "10")


GOOD = stripe_event("evt_ordinary")


@pytest.mark.parametrize(
    ("body", "headers", "path"),
    [
        (GOOD, {"Stripe-Signature": "t=1,v1=00"}, "/webhooks/stripe"),
        (GOOD, {}, "/webhooks/nobody"),
        (GOOD, {}, "/webhooks/closed"),
        (GOOD, {}, "/webhooks/stripe/secret"),
        (GOOD, {}, "/webhooks/stripe/"),
        (GOOD, {}, "/webhooks//stripe"),
        (GOOD, {}, "/webhooks/str%69pe"),
        (GOOD, {}, "/webhooks/contact"),
        (GOOD, {}, f"/webhooks/mail/{MAIL_SECRET}"),
        (GOOD + b" " * 5000, {}, "/webhooks/small"),
        (GOOD, {"Host": "elsewhere.example"}, "/webhooks/stripe"),
        (GOOD, {"Host": ""}, "/webhooks/stripe"),
        (GOOD, {"Content-Encoding": "gzip"}, "/webhooks/stripe"),
        (GOOD, {"Content-Length": "9" * 30}, "/webhooks/stripe"),
        (GOOD, {"Transfer-Encoding": "chunked"}, "/webhooks/stripe"),
        (b"[]", {}, "/webhooks/stripe"),
        (b'{"a":1,"a":2}', {}, "/webhooks/stripe"),
        (b"", {}, "/webhooks/stripe"),
    ],
)  # fmt: skip
def test_what_is_out_of_the_ordinary_is_left_to_the_application(
    express, body, headers, path
) -> None:
    given = signed(body) | headers
    assert begin(express, body, given, path=path) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_only_a_post_goes_the_short_way(express, method) -> None:
    assert begin(express, GOOD, signed(GOOD), method=method) is None


@pytest.mark.parametrize("secret", [STRIPE_SECRET, PREVIOUS_SECRET])
def test_the_secret_that_signed_is_named(app, express, line, secret) -> None:
    name = f"evt_by_{len(secret)}"
    body = stripe_event(name)
    headers = {"Stripe-Signature": stripe_signature(body, secret=secret)}
    taken = begin(express, body, headers)
    assert taken is not None
    write(express, line, taken)
    with app.extensions["hub"].store.read() as connection:
        kept: list[StoredRequest] = requests_of(connection)
        [request] = [one for one in kept if one.body == body]
    assert request.signed_by == taken.prepared.row["signed_by"]


@settings(max_examples=150)
@given(body=events() | st.binary(max_size=200), headers=HEADERS, path=PATHS)
def test_the_application_takes_whatever_the_short_way_takes(
    app, express, line, body, headers, path
) -> None:
    given_headers = signed(body) | headers
    taken = begin(express, body, given_headers, path=path)
    if taken is None:
        return
    write(express, line, taken)
    status, said, answer_body = express.answer(taken)
    answer = call(app, body, given_headers, path=path)
    assert (answer.status, answer.body) == (status, answer_body)
    assert answer.headers == {name.lower(): value for name, value in said}


def test_sqlite_has_no_short_way(tmp_path, sqlite_url) -> None:
    assert make_app(tmp_path, sqlite_url).extensions["hub_fast_path"] is None
