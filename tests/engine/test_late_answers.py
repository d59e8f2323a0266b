"""Late answers: after another worker took over, and after an alarm interrupted the drain."""

from datetime import UTC, datetime
from signal import SIGALRM, getsignal, signal

import pytest
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from hub.core.delivery.settle import SettleAnswer, settle
from tests.engine.stage import Draining, Held, days_ago, keyed, once
from tests.far_end import Reply


@pytest.mark.parametrize(
    ("status", "delivery", "attempt"),
    [
        (200, "succeeded", "accepted"),
        (400, "failed", "rejected"),
        (429, "retrying", "not_processed"),
        (500, "unknown", "unknown"),
    ],
)
def test_a_late_answer_closes_what_was_unknown_if_it_is_certain(
    stage, status: int, delivery: str, attempt: str
) -> None:
    first, second = stage.worker_context(once()), stage.worker_context(once())
    held = Held(stage.far_end, Reply(status, b"ok" if status == 200 else b"no"))
    stage.put(first, "evt_1")
    with Draining(first):
        held.wait_for_call()
        stage.end_leases()
        stage.drain(second)
        assert (stage.delivery.state, stage.attempts[0].state) == ("unknown", "unknown")
        held.open.set()
    assert (stage.delivery.state, stage.attempts[0].state) == (delivery, attempt)
    if delivery != "unknown":
        assert stage.attempts[0].status == status
        assert (stage.delivery.next_attempt_at is None) == (delivery != "retrying")
        assert (stage.delivery.finished_at is None) == (delivery == "retrying")
    assert len(stage.far_end.received) == 1


def test_a_late_answer_changes_nothing_that_a_person_has_settled(stage) -> None:
    first, second = stage.worker_context(once()), stage.worker_context(once())
    held = Held(stage.far_end, Reply(400, b"invalid_payload"))
    stage.put(first, "evt_1")
    with Draining(first):
        held.wait_for_call()
        stage.end_leases()
        stage.drain(second)
        with stage.store.write() as connection:
            settle(connection, stage.delivery.id, SettleAnswer.ARRIVED, reason="seen", actor="me",
                   now=days_ago(0))  # fmt: skip
        held.open.set()
    assert (stage.delivery.state, stage.attempts[0].state) == ("succeeded", "accepted")


def test_a_late_answer_closes_no_call_that_the_next_holder_repeats(stage) -> None:
    first, second = stage.worker_context(keyed()), stage.worker_context(keyed())
    held = Held(stage.far_end)
    stage.put(first, "evt_1")
    with Draining(first):
        held.wait_for_call()
        stage.end_leases()
        stage.drain(second)
        assert (stage.delivery.state, stage.attempts[0].state) == ("retrying", "in_doubt")
        stage.make_due()
        with Draining(second):
            held.wait_for_call(2)
            held.open.set()
    assert stage.delivery.state == "succeeded"
    assert [row.state for row in stage.attempts] == ["in_doubt", "accepted"]
    assert len(set(stage.far_end.keys())) == 1


def test_a_late_answer_of_a_call_that_was_given_up_is_taken_in(stage) -> None:
    config = keyed("retry: {attempts: 1}")
    first, second = stage.worker_context(config), stage.worker_context(config)
    held = Held(stage.far_end)
    stage.put(first, "evt_1")
    with Draining(first):
        held.wait_for_call()
        stage.end_leases()
        stage.drain(second)
        assert (stage.delivery.state, stage.attempts[0].state) == ("failed", "in_doubt")
        held.open.set()
    assert (stage.delivery.state, stage.attempts[0].state) == ("succeeded", "accepted")
    assert stage.delivery.error is None
    assert len(stage.far_end.received) == 1


def test_of_calls_that_end_together_the_late_ones_and_the_others_are_all_written_down(
    stage,
) -> None:
    worker, other = stage.worker_context(once()), stage.worker_context(once())
    held = Held(stage.far_end)
    stage.put(worker, "evt_1", "evt_2")
    with Draining(worker):
        held.wait_for_call(2)
        stage.end_leases()
        stage.drain(other)
        assert {row.state for row in stage.deliveries} == {"unknown"}
        held.open.set()
    assert {row.state for row in stage.deliveries} == {"succeeded"}


def test_what_was_done_before_the_alarm_is_recorded_and_the_lane_is_free(postgresql_stage) -> None:
    stage = postgresql_stage
    worker = stage.worker_context(once())
    stage.put(worker, "evt_1")
    stage.far_end.behave = lambda _: Reply(200, b"ok", after_s=2)
    before = getsignal(SIGALRM)
    with pytest.raises(JobTimeoutException), UnixSignalDeathPenalty(1, JobTimeoutException):
        stage.drain(worker)
    signal(SIGALRM, before)
    assert (stage.delivery.state, stage.attempts[0].state) == ("succeeded", "accepted")
    assert stage.lane.holder is None
    assert stage.lane.lease_until <= datetime.now(UTC)
    stage.drain(worker)
    assert len(stage.far_end.received) == 1
