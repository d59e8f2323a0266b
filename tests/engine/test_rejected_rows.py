"""Rows that the database rejects: they stop no other rows, and their contents leak nowhere."""

import logging
import random
import string
import threading
import time
from datetime import UTC, datetime

from rq.registry import FailedJobRegistry
from sqlalchemy.exc import IntegrityError

from hub.clock import clock
from hub.clock.clock import HourlyStatsTask
from hub.core.events import projections
from hub.core.events.projections import project_some
from hub.core.models import Alert, Contact, Identity
from hub.worker import rq_worker, small_job
from hub.worker.batch import LaneBatch
from hub.worker.context import set_current
from tests.engine.stage import keyed, unfolded

# Too long for an index of PostgreSQL, and too random to be compressed.
LONG = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9000))
ABOUT = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}"}
  good: {adapter: http, url: "${FAR_END}/good", secret: "${OPS_SECRET}"}
routes:
  about: {on: payment.succeeded, do: ops.post, with: {body: {to: "{{ contact.email }}"}}}
  good: {on: payment.succeeded, do: good.post, with: {body: {}}}
"""


def test_a_customer_id_of_9000_letters_stops_neither_lanes_nor_folding(stage) -> None:
    worker = stage.worker_context(ABOUT)
    stage.put(worker, "evt_1", customer=LONG, receipt_email="one@example.com")
    stage.put(worker, "evt_2", customer="cus_2", receipt_email="two@example.com")
    stage.drain(worker)
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert unfolded(stage) == []
    assert {row.email for row in stage.rows(Contact)} == {"one@example.com", "two@example.com"}
    assert LONG not in {row.value for row in stage.rows(Identity)}


def refuse(stage, table: str, condition: str) -> None:
    """Add a CHECK constraint, so that the database rejects rows that the hub considers valid."""
    with stage.store.write() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT no CHECK ({condition})")


def test_a_person_that_the_database_refuses_is_skipped_and_the_others_folded(
    postgresql_stage, caplog
) -> None:
    stage = postgresql_stage
    refuse(stage, "contacts", "email <> 'jane@example.com'")
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    stage.put(worker, "evt_2", receipt_email="joe@example.com")
    stage.drain(worker)
    assert unfolded(stage) == []
    assert [row.email for row in stage.rows(Contact)] == ["joe@example.com"]
    assert "a projection failed and is skipped" in caplog.text
    assert "jane" not in caplog.text


def test_a_delivery_whose_person_the_database_refuses_fails_alone(postgresql_stage) -> None:
    stage = postgresql_stage
    refuse(stage, "contacts", "email <> 'jane@example.com'")
    worker = stage.worker_context(ABOUT)
    stage.put(worker, "evt_1")
    stage.put(worker, "evt_2", receipt_email="joe@example.com")
    stage.drain(worker)
    states = {(row.route, row.state) for row in stage.deliveries}
    assert states == {("about", "failed"), ("about", "succeeded"), ("good", "succeeded")}
    [failed] = [row for row in stage.deliveries if row.state == "failed"]
    assert failed.error == "what it needs cannot be kept or read"


def test_a_lane_whose_claims_the_database_refuses_rests_and_the_others_work(
    postgresql_stage, caplog
) -> None:
    stage = postgresql_stage
    refuse(stage, "attempts", "parameters->'body'->>'to' IS NULL")
    worker = stage.worker_context(ABOUT)
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert {(row.route, row.state) for row in stage.deliveries} == {
        ("about", "pending"), ("good", "succeeded"),
    }  # fmt: skip
    assert "cannot take" in stage.lane.blocked_reason
    assert stage.lane.holder is None
    assert "jane@example.com" not in caplog.text + stage.lane.blocked_reason


def test_two_who_fold_the_same_people_at_once_wait_for_no_other(postgresql_stage) -> None:
    stage = postgresql_stage
    worker = stage.worker_context(keyed())
    for n in range(200):
        person = random.Random(n).randrange(20)
        stage.put(worker, f"evt_{n}", customer=f"cus_{person}",
                  receipt_email=f"p{(person * 7) % 20}@example.com")  # fmt: skip
    errors = []

    def fold() -> None:
        try:
            while unfolded(stage):
                with stage.store.write() as connection:
                    project_some(connection, worker.hub, most=20, now=datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - the test says which
            errors.append(error)

    threads = [threading.Thread(target=fold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert unfolded(stage) == []
    assert len(stage.rows(Contact)) == 20


def test_contacts_are_folded_by_the_clock_while_the_workers_are_busy(stage, redis_server) -> None:
    worker = stage.worker_context(keyed("rate: 1/1m"))
    stage.put(worker, *(f"evt_{n}" for n in range(5)))
    with redis_server.client() as redis:
        assert clock.tick(worker.hub, redis, worker.queues) == set()
    assert unfolded(stage) == []


def test_a_duty_of_the_clock_that_fails_stops_no_other_and_somebody_is_told(
    stage, redis_server, monkeypatch
) -> None:
    worker = stage.worker_context(keyed("rate: 1/1m"))
    stage.put(worker, "evt_1")

    for error in (
        ValueError("what a customer wrote"),
        IntegrityError("x", {}, Exception("what a customer wrote")),
    ):

        def fails(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        name = "ValueError" if isinstance(error, ValueError) else "Exception"
        with redis_server.client() as redis:
            with monkeypatch.context() as patched:
                patched.setattr(clock, "escalate", fails)
                [trouble] = clock.tick(worker.hub, redis, worker.queues)
                assert trouble.startswith(f"escalating failed: {name} at test_rejected_rows.fails")
                assert "customer" not in trouble
            assert unfolded(stage) == []
            assert [one.subject for one in stage.rows(Alert) if not one.ended_at] == ["escalating"]
            assert clock.tick(worker.hub, redis, worker.queues) == set()
        assert all(one.ended_at for one in stage.rows(Alert))


def test_hours_that_cannot_be_counted_do_not_end_the_clock(stage, redis_server) -> None:
    class Broken(HourlyStatsTask):
        def run_if_due(self) -> None:
            raise ZeroDivisionError

    worker = stage.worker_context(keyed("rate: 1/1m"))
    with redis_server.client() as redis:
        [trouble] = clock.tick(worker.hub, redis, worker.queues, None, Broken(worker.hub))
    assert trouble.startswith("counting the hours failed: ZeroDivisionError")


def test_an_event_whose_news_is_poison_is_left_and_the_others_are_folded(
    stage, redis_server, monkeypatch, caplog
) -> None:
    worker = stage.worker_context(keyed("rate: 1/1m"))
    stage.put(worker, *(f"evt_{n}" for n in range(3)))

    def follow(*_: object, data: dict[str, object], **__: object) -> None:
        told.append(data)
        if len(told) == 2:
            raise ValueError("what a customer wrote")

    told: list[object] = []
    monkeypatch.setattr(projections, "apply_status_callback", follow)
    with redis_server.client() as redis:
        assert clock.tick(worker.hub, redis, worker.queues) == set()
    assert len(told) == 3
    assert unfolded(stage) == []
    assert caplog.text.count("a projection failed and is skipped (ValueError)") == 1
    assert "customer" not in caplog.text


def test_nothing_of_a_payload_gets_into_logs_or_the_queue_when_the_database_refuses_it(
    postgresql_stage, redis_server, caplog, monkeypatch
) -> None:
    """Also when the job's alarm interrupts the handling, so that the job fails with both errors."""
    stage = postgresql_stage
    caplog.set_level(logging.DEBUG)
    refuse(stage, "attempts", "parameters->'body'->>'to' IS NULL")
    worker = stage.worker_context(ABOUT)
    stage.put(worker, "evt_1")
    monkeypatch.setattr(small_job, "JOB_TIMEOUT_S", 1)
    hold_back = LaneBatch._back_off

    def hold_back_for_long(serving, lane, error) -> None:
        time.sleep(1.5)
        hold_back(serving, lane, error)

    monkeypatch.setattr(LaneBatch, "_back_off", hold_back_for_long)
    set_current(worker)
    with redis_server.client() as redis:
        worker.queues.wake(["ops"])
        rq_worker.HubWorker(worker, redis_server.url, lambda *_: None).work(
            burst=True, logging_level="WARNING"
        )
        queue = worker.queues.queue("ops")
        [job_id] = FailedJobRegistry(queue=queue).get_job_ids()
        kept = "".join(
            str(part)
            for key in redis.keys("*")
            for part in (redis.hgetall(key).items() if redis.type(key) == b"hash" else [key])
        )
        results = queue.fetch_job(job_id).results()
    assert results
    said = "".join(str(one.exc_string) for one in results) + kept + caplog.text
    assert "JobTimeoutException" in said
    assert "jane@example.com" not in said
