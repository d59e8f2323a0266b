"""Poison deliveries: workers that die in one delivery's call, its isolation, and its end."""

import time
from datetime import UTC, datetime

import pytest

from hub.core.delivery.poison import end_alerts
from hub.core.delivery.transitions import DEADLY, WORKER_DIED
from hub.core.models import Alert, Attempt, Delivery, database_later
from hub.gateways.destination_client import DestinationClient
from hub.worker import drain as drains
from hub.worker.drain import Drain
from tests.engine.stage import eventually, keyed, once
from tests.far_end import Reply

# Retries wait until the test makes them due.
LATER = "retry: {first_delay: 1h}"
OFTEN = once(LATER).replace("do: ops.post,", "do: ops.post, policy: at_least_once,")


def settle(stage, worker) -> None:
    """Take over the lane of the worker that died, and make its deliveries due."""
    stage.end_leases()
    stage.drain(worker)
    stage.make_due()


def die(stage, worker) -> int:
    """Claim, call, die, and let another worker take over; return the number of calls."""
    before = len(stage.far_end.received)
    Drain(worker)._tick(look=True)
    time.sleep(0.3)
    calls = len(stage.far_end.received) - before
    settle(stage, worker)
    return calls


def alerts(stage) -> list[str]:
    return [one.subject for one in stage.rows(Alert) if not one.ended_at]


@pytest.mark.parametrize("config", [keyed(LATER), OFTEN], ids=["keyed", "at least once"])
def test_after_two_deaths_it_is_tried_alone_and_after_the_third_not_again(stage, config) -> None:
    worker = stage.worker_context(config)
    stage.put(worker, "evt_1", "evt_2", "evt_3")
    assert [die(stage, worker), die(stage, worker)] == [3, 3]
    assert {row.state for row in stage.deliveries} == {"retrying"}
    assert alerts(stage) == []
    stage.put(worker, "evt_4")
    assert die(stage, worker) == 1
    [failed] = [row for row in stage.deliveries if row.state == "failed"]
    assert (failed.error, failed.attempts) == (DEADLY, 3)
    assert alerts(stage) == [f"delivery {failed.id}"]
    stage.drain(worker)
    others = [row for row in stage.deliveries if row.id != failed.id]
    assert [(row.state, row.attempts) for row in others] == [("succeeded", 3)] * 2 + [
        ("succeeded", 1)
    ]


def test_a_call_that_came_back_between_clears_a_delivery(stage) -> None:
    worker = stage.worker_context(keyed(LATER))
    stage.put(worker, "evt_1")
    die(stage, worker)
    die(stage, worker)
    stage.far_end.behave = lambda _: Reply(500)
    stage.drain(worker)
    stage.make_due()
    die(stage, worker)
    die(stage, worker)
    assert (stage.delivery.state, stage.delivery.attempts) == ("retrying", 5)
    die(stage, worker)
    assert (stage.delivery.state, stage.delivery.error) == ("failed", DEADLY)


def test_a_person_who_replays_it_begins_anew_and_ends_the_alert(stage) -> None:
    worker = stage.worker_context(keyed(LATER))
    stage.put(worker, "evt_1")
    for _ in range(3):
        die(stage, worker)
    assert stage.replay(worker, stage.plan(worker, state="failed")) == 1
    with stage.store.write() as connection:
        end_alerts(connection, now=datetime.now(UTC))
    assert alerts(stage) == []
    die(stage, worker)
    assert stage.delivery.state == "retrying"
    stage.drain(worker)
    assert (stage.delivery.state, stage.delivery.attempts) == ("succeeded", 5)
    assert len({one.key for one in stage.attempts}) == 1


def test_what_look_ups_let_be_tried_again_is_given_up_after_three_deaths_as_well(stage) -> None:
    worker = stage.worker_context(once(LATER))
    stage.put(worker, "evt_1")
    for _ in range(3):
        assert die(stage, worker) == 1
        assert stage.delivery.state == "unknown"
        stage.change(Attempt, state="not_processed", closed_by="lookup")
        stage.change(Delivery, state="retrying", next_attempt_at=database_later(-1.0))
    stage.drain(worker)
    assert (stage.delivery.state, stage.delivery.error) == ("failed", DEADLY)
    assert len(stage.far_end.received) == 3
    assert alerts(stage) == [f"delivery {stage.delivery.id}"]


def test_nothing_else_is_called_before_a_suspect_has_ended(stage) -> None:
    worker = stage.worker_context(keyed(LATER))
    stage.put(worker, "evt_1")
    die(stage, worker)
    die(stage, worker)
    assert {one.message for one in stage.attempts} == {WORKER_DIED.message}
    stage.far_end.behave = lambda _: Reply(after_s=0.5)
    stage.put(worker, "evt_2", "evt_3")
    began_s = time.monotonic()
    stage.drain(worker)
    eventually(lambda: {row.state for row in stage.deliveries} == {"succeeded"})
    first, *others = [one.at_s - began_s for one in stage.far_end.received[-3:]]
    assert all(at_s - first >= 0.5 for at_s in others)


TWO = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}", retry: {first_delay: 1h}}
  crm: {adapter: http, url: "${FAR_END}/crm", secret: "${OPS_SECRET}", retry: {first_delay: 1h}}
routes:
  ops: {on: payment.succeeded, do: ops.post, with: {body: {}}}
  crm: {on: payment.succeeded, do: crm.post, with: {body: {}}}
"""


def test_whatever_has_ended_is_written_down_before_a_suspect_is_called(stage, monkeypatch) -> None:
    """Otherwise a finished delivery would be found open, and count one more death."""
    worker = stage.worker_context(TWO)
    stage.put(worker, "evt_1", "evt_2", "evt_3")
    die(stage, worker)
    die(stage, worker)
    monkeypatch.setattr(drains, "RENEW_EVERY_S", 0.0)  # so that suspects are looked for each time
    running: list[int] = []
    perform = DestinationClient.perform

    def performs(client, call):
        running.append([row.state for row in stage.deliveries].count("running"))
        return perform(client, call)

    monkeypatch.setattr(DestinationClient, "perform", performs)
    stage.drain(worker)
    assert running == [1] * 6
    assert {row.state for row in stage.deliveries} == {"succeeded"}
