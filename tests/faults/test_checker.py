"""Checker of the fault tests: it must notice each violation."""

import time

import pytest
import requests
from sqlalchemy import text

from hub.gateways.database.engine import open_database
from tests.faults import checker
from tests.faults.checker import Fault
from tests.faults.load import Answer, Sender
from tests.running import until


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(checker, "HEALED_WITHIN_S", 0.5)


def a_sender(hub, *event_ids):
    sender = Sender(hub)
    sender.answers += [Answer(one, 200, None, time.monotonic(), 0.1) for one in event_ids]
    return sender


def far_end_gets(far_end, event_id, key):
    requests.post(
        f"{far_end.url}/hook", json={"event": event_id}, headers={"webhook-id": key}, timeout=30
    )


def test_a_2xx_for_what_is_not_stored_is_a_loss(sqlite_url, far_end, make_hub, hurried):
    row = {}
    sender = a_sender(make_hub(sqlite_url, "unix:///nowhere"), "evt_1")
    with pytest.raises(AssertionError, match="not stored"):
        Fault(row).check(sqlite_url, far_end, sender)
    assert row["lost"] == 1


def test_one_event_under_two_keys_is_seen(sqlite_url, far_end, make_hub, hurried):
    row = {}
    far_end_gets(far_end, "evt_1", "one")
    far_end_gets(far_end, "evt_1", "two")
    with pytest.raises(AssertionError, match="several keys"):
        Fault(row).check(sqlite_url, far_end, a_sender(make_hub(sqlite_url, "unix:///nowhere")))
    assert row["second"] == 1


def test_a_lease_that_ended_while_a_call_is_open_is_seen(sqlite_url, redis_url, far_end, make_hub):
    hub = make_hub(sqlite_url, redis_url, hurry=True)
    hub.start("web", "worker", "clock")
    sender = Sender(hub)
    assert sender.send("evt_1") == 200
    until(lambda: far_end.received, 20, "the call")
    for name in ("web", "worker", "clock"):
        hub.kill(name)
    database = open_database(sqlite_url)
    with database.write() as connection:
        connection.execute(text("UPDATE deliveries SET state = 'running', next_attempt_at = NULL"))
        connection.execute(text("UPDATE lanes SET lease_until = '2000-01-01 00:00:00.000000'"))
    with pytest.raises(AssertionError, match="a lease has ended"):
        checker.check_rows(database)
