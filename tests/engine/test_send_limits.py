"""Send limits in the engine: a drain sends no more texts than allowed; the clock cleans up."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert

import tests.engine.stage as stages
from adapters import InboundRequest
from hub.clock import clock
from hub.core.inbound.ingest import ingest
from hub.core.models import Alert, LimitCount
from hub.core.monitoring import alerts
from tests.receiving import prepare

CONFIG = """
sources: {contact: {adapter: form, fields: {phone: {type: phone}}}}
destinations: {sms: {adapter: twilio}}
routes: {tell: {on: lead.submitted, do: sms.send, with: {to: "{{ data.phone }}", body: Thanks}}}
"""
LEADS, MOST = 45, 30


@pytest.fixture
def worker(stage, monkeypatch):
    monkeypatch.setattr(stages, "SOURCE", "")
    return stage.worker_context(CONFIG)


def fill_in(stage, worker, phone: str) -> None:
    request = InboundRequest(
        "POST",
        "http://hub/forms/contact",
        {"content-type": "application/x-www-form-urlencoded"},
        urlencode({"phone": phone}).encode(),
        datetime.now(UTC),
    )
    prepared = prepare(worker.hub, request, "contact")
    with stage.store.write() as connection:
        ingest(connection, prepared)


def test_a_drain_texts_no_more_numbers_of_one_prefix_than_the_cap(stage, worker) -> None:
    """B76."""
    for n in range(LEADS):
        fill_in(stage, worker, f"+1202555{n:04}")
    stage.drain(worker)
    states = [row.state for row in stage.deliveries]
    assert (states.count("succeeded"), states.count("skipped")) == (MOST, LEADS - MOST)
    assert len(stage.attempts) == MOST
    [alert] = stage.rows(Alert)
    assert (alert.kind, alert.subject) == (alerts.CAP_REACHED, "sms")
    assert clock.tick(worker.hub, worker.redis, worker.queues) == set()
    [alert] = stage.rows(Alert)
    assert alert.ended_at is None


def test_the_clock_forgets_what_is_over_and_ends_its_alerts(stage, worker) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    with stage.store.write() as connection:
        alerts.begin(connection, alerts.CAP_REACHED, "sms", "it was", now=long_ago)
        values = {"key": b"k" * 16, "slot_at": long_ago, "n": 1, "ends_at": long_ago}
        connection.execute(insert(LimitCount).values(**values))
    assert clock.tick(worker.hub, worker.redis, worker.queues) == set()
    assert stage.rows(LimitCount) == []
    [alert] = stage.rows(Alert)
    assert alert.ended_at is not None
