"""Metrics and readiness: `/metrics` for permitted callers, `/readyz` while the hub can store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, select, text, update

from hub.core.ids import new_id
from hub.core.models import Delivery, Lane, StoredEvent
from hub.core.monitoring.metrics import backlog_statement
from hub.gateways.database.migrations import downgrade
from tests.running import stripe_event, stripe_signature
from tests.web.calling import call, make_app

TOKEN = "a-token-for-metrics"


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    app = make_app(tmp_path, database_url)
    yield app
    app.extensions["hub"].store.engine.dispose()


def samples(app: Flask) -> dict[tuple[str, ...], float]:
    answer = call(app, path="/metrics", method="GET")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def post(app: Flask, body: bytes) -> int:
    return call(app, body, {"Stripe-Signature": stripe_signature(body)}).status


def test_an_empty_hub_says_nought_of_every_destination(app: Flask) -> None:
    found = samples(app)
    for state in ("due", "scheduled", "running", "failed", "unknown"):
        assert found["hub_deliveries", "ops", state] == 0
    assert found["hub_oldest_due_delivery_age_seconds", "ops"] == 0


def test_deliveries_are_counted_by_state_and_the_oldest_due_one_has_an_age(app: Flask) -> None:
    store = app.extensions["hub"].store
    for n in range(8):
        assert post(app, stripe_event(f"evt_{n}")) == 200
    now = datetime.now(UTC)
    changes = [
        {"next_attempt_at": now - timedelta(seconds=90), "state": "retrying"},
        {"next_attempt_at": now + timedelta(hours=1), "state": "waiting"},
        *({"next_attempt_at": None, "state": s} for s in ("running", "failed", "unknown")),
        {"next_attempt_at": None, "state": "succeeded"},
    ]
    with store.write() as connection:
        ids = connection.execute(select(Delivery.id).order_by(Delivery.id)).scalars().all()
        for delivery_id, values in zip(ids, changes, strict=False):
            connection.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))
    found = samples(app)
    counts = {state: found["hub_deliveries", "ops", state] for state in
              ("due", "scheduled", "running", "failed", "unknown")}  # fmt: skip
    assert counts == {"due": 3, "scheduled": 1, "running": 1, "failed": 1, "unknown": 1}
    assert 89 < found["hub_oldest_due_delivery_age_seconds", "ops"] < 600


def test_sources_and_lanes_are_told(app: Flask) -> None:
    body = stripe_event("evt_1")
    assert [post(app, each) for each in (body, body, b"?")] == [200, 200, 200]
    assert call(app, body, {"Stripe-Signature": "t=1,v1=0"}).status == 401
    app.extensions["hub_intake"].counters.flush()
    later = datetime.now(UTC) + timedelta(hours=1)
    with app.extensions["hub"].store.write() as connection:
        rows = [
            {"destination": "paused", "paused": True, "blocked_until": None},
            {"destination": "blocked", "paused": False, "blocked_until": later},
            {"destination": "was", "paused": False, "blocked_until": later - timedelta(hours=2)},
        ]
        connection.execute(insert(Lane), rows)
    found = samples(app)
    for verdict in ("accepted", "duplicate", "unreadable", "rejected"):
        assert found["hub_inbound_requests_total", "stripe", verdict] == 1
    lanes = {name: (found["hub_lane_paused", name], found["hub_lane_blocked", name])
             for name in ("paused", "blocked", "was")}  # fmt: skip
    assert lanes == {"paused": (1, 0), "blocked": (0, 1), "was": (0, 0)}


def test_what_is_over_is_never_read(app: Flask) -> None:
    """Ten thousand succeeded deliveries; each part of the statement uses a partial index."""
    post(app, stripe_event("evt_1"))
    store = app.extensions["hub"].store
    now = datetime.now(UTC)
    with store.write() as connection:
        event_id: UUID = connection.execute(select(StoredEvent.id)).scalar_one()
        over = {"event_id": event_id, "destination": "ops", "action": "post", "state": "succeeded",
                "created_at": now, "since": now}  # fmt: skip
        rows = [over | {"id": new_id(now), "route": f"r{n}"} for n in range(10_000)]
        connection.execute(insert(Delivery), rows)
        connection.execute(text("ANALYZE"))
    compiled = backlog_statement().compile(
        store.engine, compile_kwargs={"render_postcompile": True}
    )
    explain = "EXPLAIN QUERY PLAN " if store.dialect == "sqlite" else "EXPLAIN (FORMAT JSON) "
    with store.read() as connection:
        plan = connection.exec_driver_sql(explain + str(compiled), compiled.params or ()).all()
    told = json.dumps([list(row) for row in plan])
    for index in ("ix_deliveries_due", "ix_deliveries_running", "ix_deliveries_needs_you"):
        assert index in told
    assert "Seq Scan" not in told
    assert 'SCAN deliveries"' not in told


def test_without_a_token_only_this_machine_may_ask(app: Flask) -> None:
    ask = {"path": "/metrics", "method": "GET"}
    assert call(app, **ask, remote="::1").status == 200
    assert call(app, **ask, remote="203.0.113.7").status == 404
    assert call(app, headers={"X-Forwarded-For": "203.0.113.7"}, **ask).status == 404
    assert call(app, headers={"Forwarded": "for=203.0.113.7"}, **ask).status == 404
    assert call(app, path="/metrics").status == 405


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1"])
def test_a_public_hub_without_a_token_has_no_metrics(
    tmp_path: Path, sqlite_url: str, remote: str
) -> None:
    """A proxy on the machine may add no header of its own."""
    app = make_app(tmp_path, sqlite_url, HUB_PUBLIC_URL="http://127.0.0.1")
    assert call(app, path="/metrics", method="GET", remote=remote).status == 404


@pytest.mark.parametrize("header", ["X-Real-IP", "CF-Connecting-IP"])
def test_no_proxy_of_this_machine_may_ask(app: Flask, header: str) -> None:
    ask = {"path": "/metrics", "method": "GET"}
    assert call(app, headers={header: "203.0.113.7"}, **ask).status == 404


def test_with_a_token_who_has_it_may_ask_from_anywhere(tmp_path: Path, sqlite_url: str) -> None:
    app = make_app(tmp_path, sqlite_url, METRICS_TOKEN=TOKEN)
    ask = {"path": "/metrics", "method": "GET"}
    for given in (None, "", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9", TOKEN):
        headers = {} if given is None else {"Authorization": given}
        refused = call(app, headers=headers, **ask)
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
        told = call(app, headers={"Authorization": given}, **ask, remote="203.0.113.7")
        assert told.status == 200


def test_ready_means_that_it_can_store(app: Flask, database_url: str) -> None:
    """Redis is not needed; here it is missing."""
    ask = {"path": "/readyz", "method": "GET"}
    assert call(app, **ask).status == 200
    downgrade(database_url.replace("postgresql://", "postgresql+psycopg://"), "base")
    answer = call(app, **ask)
    assert answer.status == 503
    [trouble] = json.loads(answer.body)["troubles"]
    assert trouble.startswith("tables: they are at nothing")
    assert call(app, path="/healthz", method="GET").status == 200


def test_without_its_database_nothing_is_ready_and_webhooks_are_503(tmp_path: Path) -> None:
    app = make_app(tmp_path, "postgresql://nobody@127.0.0.1:1/hub")
    answer = call(app, path="/readyz", method="GET")
    assert (answer.status, json.loads(answer.body)["status"]) == (503, "not ready")
    assert call(app, path="/metrics", method="GET").status == 503
    body = stripe_event("evt_1")
    refused = call(app, body, {"Stripe-Signature": stripe_signature(body)})
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
