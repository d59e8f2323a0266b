"""Send limits in the engine: a drain sends no more texts than allowed; the clock cleans up."""

from collections import Counter
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
BOMB = """
sources: {contact: {adapter: form, fields: {email: {type: email}, message: {type: longtext}}}}
destinations: {sms: {adapter: twilio}, email: {adapter: sendgrid}}
routes:
  tell: {on: lead.submitted, do: sms.send, with: {to: "+12025550101", body: "{{ data.message }}"}}
  confirm:
    on: lead.submitted
    do: email.send
    with: {to: "{{ data.email }}", subject: Thanks, text: "We call you back."}
"""
LEADS, MOST = 45, 30


@pytest.fixture
def worker(stage, monkeypatch):
    monkeypatch.setattr(stages, "SOURCE", "")
    return stage.worker_context(CONFIG)


def fill_in(stage, worker, **fields: str) -> None:
    request = InboundRequest(
        "POST",
        "http://hub/forms/contact",
        {"content-type": "application/x-www-form-urlencoded"},
        urlencode(fields).encode(),
        datetime.now(UTC),
    )
    prepared = prepare(worker.hub, request, "contact")
    with stage.store.write() as connection:
        ingest(connection, prepared)


def test_a_drain_texts_no_more_numbers_of_one_prefix_than_the_cap(stage, worker) -> None:
    """B76."""
    for n in range(LEADS):
        fill_in(stage, worker, phone=f"+1202555{n:04}")
    stage.drain(worker)
    states = [row.state for row in stage.deliveries]
    assert (states.count("succeeded"), states.count("skipped")) == (MOST, LEADS - MOST)
    assert len(stage.attempts) == MOST
    [alert] = stage.rows(Alert)
    assert (alert.kind, alert.subject) == (alerts.CAP_REACHED, "sms")
    assert clock.tick(worker.hub, worker.redis, worker.queues) == set()
    [alert] = stage.rows(Alert)
    assert alert.ended_at is None


def test_a_victims_mailbox_and_the_owner_get_no_more_than_the_caps(stage, monkeypatch) -> None:
    """Sixty and more posts that name one address, each with another text."""
    monkeypatch.setattr(stages, "SOURCE", "")
    worker = stage.worker_context(BOMB)
    for n in range(70):
        fill_in(stage, worker, email="victim@elsewhere.example", message=f"hello number {n}")
    stage.drain(worker)
    states = Counter((row.destination, row.state) for row in stage.deliveries)
    assert states == {
        ("email", "succeeded"): 3,
        ("email", "skipped"): 67,
        ("sms", "succeeded"): 60,
        ("sms", "skipped"): 10,
    }
    told = {alert.subject: alert.message for alert in stage.rows(Alert)}
    assert told["email"].startswith("67 e-mails were skipped: 3 in 1d to one e-mail address. ")
    assert told["sms"].startswith(
        "10 texts were skipped: 60 in 1h to your own people. So your people were 10 times not told "
        "of a lead: the dashboard has the leads. "
    )


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
