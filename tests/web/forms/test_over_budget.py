"""Byte budgets at the doors: what is not kept is never answered as if it were, nor genuine refused.

The application runs in this process, so that a day's budget can be small.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from hub.core.inbound import byte_budget
from hub.core.models import SourceState, StoredEvent, StoredRequest
from hub.gateways.database.engine import open_database
from tests.running import stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import Answer

HONEST = {"name": "Jane", "email": "jane@example.com", "consent": "given", "start": "2026-11-20"}
SPAM = {**HONEST, "website": "https://casino.example"}
LITTLE = 12_000
HTML = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


@pytest.fixture
def app(tmp_path, database_url, monkeypatch) -> Flask:
    monkeypatch.setattr(byte_budget, "DAY_BYTES", LITTLE)
    return make_app(tmp_path, database_url)


@pytest.fixture
def rows(database_url) -> Callable[[Any], list[Any]]:
    database = open_database(database_url, pool_size=1)

    def read(table: Any) -> list[Any]:
        with database.read() as connection:
            return list(connection.execute(select(table.__table__)))

    yield read
    database.engine.dispose()


def post(app: Flask, values: dict[str, str], n: int = 0, **headers: str) -> Answer:
    fields = values | {"name": f"Jane {n}"}
    return call(app, urlencode(fields).encode(), {**HTML, **headers}, path="/forms/job")


def fill(app: Flask, send: Callable[[int], Answer], rows) -> int:
    """Send until nothing more is kept; return how many requests are stored then."""
    for n in range(100):
        before = len(rows(StoredRequest))
        send(n)
        if len(rows(StoredRequest)) == before:
            return before
    raise AssertionError("everything was kept")


def test_a_lead_that_cannot_be_held_is_not_answered_as_if_it_were(app, rows) -> None:
    answers = [post(app, SPAM, n) for n in range(20)]
    taken = [one for one in answers if one.status == 200]
    refused = answers[len(taken) :]
    assert taken
    assert {one.status for one in refused} == {503}, "only the first ones fit"
    held = rows(StoredEvent)
    assert len(held) == len(rows(StoredRequest)) == len(taken)
    assert {event.state for event in held} == {"held"}
    assert 0 < int(refused[0].headers["retry-after"]) <= 86_400
    assert b"Nothing was kept" in refused[0].body
    assert b"in another way, or send it again tomorrow" in refused[0].body
    [state] = rows(SourceState)
    assert (state.source, state.over_budget) == ("job", len(refused))
    assert LITTLE // 2 < state.budget_bytes <= LITTLE


def test_a_script_hears_it_as_a_problem(app, rows) -> None:
    fill(app, lambda n: post(app, SPAM, n), rows)
    answer = post(app, SPAM, 99, Accept="application/json")
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Nothing was kept" in json.loads(answer.body)["detail"]
    assert answer.headers["retry-after"].isdigit()


def test_a_genuine_lead_is_taken_in_whatever_was_held(app, rows) -> None:
    kept = fill(app, lambda n: post(app, SPAM, n), rows)
    assert post(app, HONEST, 1000).status == 200
    assert len(rows(StoredRequest)) == kept + 1
    assert [event.state for event in rows(StoredEvent)].count("matched") == 1


def test_pages_of_other_sites_leave_traces_within_the_budget(app, rows) -> None:
    long = {"Origin": "https://evil.example", "X-Long": "x" * (LITTLE // 3)}
    kept = fill(app, lambda n: post(app, HONEST, n, **long), rows)
    assert 1 <= kept < 5
    assert post(app, HONEST, **long).status == 403
    assert [row.state for row in rows(StoredRequest)] == ["rejected"] * kept
    assert post(app, HONEST, 1000).status == 200


def test_forged_webhooks_leave_traces_within_the_budget_and_signed_ones_come_in(app, rows) -> None:
    def forge(n: int) -> Answer:
        return call(app, b"x" * (LITTLE // 3), {"Stripe-Signature": f"t={n},v1=0"})

    kept = fill(app, forge, rows)
    assert 1 <= kept < 5
    assert forge(99).status == 401
    body = stripe_event("evt_1")
    assert call(app, body, {"Stripe-Signature": stripe_signature(body)}).status == 200
    states = {row.state for row in rows(StoredRequest)}
    assert states == {"rejected", "accepted"}


def test_headers_of_a_form_are_kept_up_to_a_limit(app, rows) -> None:
    assert post(app, HONEST, **{f"X-{n}": "x" * 5000 for n in range(10)}).status == 200
    [kept] = rows(StoredRequest)
    assert sum(map(len, kept.headers.values())) < 17_000
    assert kept.headers["x-1"].endswith("bytes left out)")
    assert kept.headers["content-type"] == HTML["Content-Type"]
