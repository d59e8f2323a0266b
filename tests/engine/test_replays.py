"""Replays in the engine: no accidental repetition, and today's file applies."""

import logging

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, event

from hub.cli import hub as command_line
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.errors import Refused
from hub.core.ids import new_id
from hub.core.models import AuditEntry, Delivery
from hub.core.replays.replay import Plan
from tests.engine.stage import days_ago, keyed, once
from tests.far_end import Reply

WHEN = """
destinations: {{ops: {{adapter: slack, url: "${{FAR_END}}/ops"}}}}
routes: {{all: {{on: payment.succeeded, when: "{when}", do: ops.post, with: {{text: big}}}}}}
"""


def settled(stage, answer: SettleAnswer) -> None:
    with stage.store.write() as connection:
        settle(connection, stage.delivery.id, answer, reason="it may have come", actor="me",
               now=days_ago(0))  # fmt: skip


def left_unknown(stage, config: str):
    """Return a worker context after a call with an unknown outcome."""
    worker = stage.worker_context(config)
    stage.far_end.behave = lambda _: Reply(500, b"oops")
    stage.put(worker, "evt_1")
    stage.drain(worker)
    assert stage.delivery.state == "unknown"
    stage.far_end.behave = lambda _: Reply(200, b"ok")
    return worker


def test_what_was_dropped_in_doubt_is_not_sent_again_without_a_reason(stage) -> None:
    worker = left_unknown(stage, once())
    settled(stage, SettleAnswer.DROP)
    assert (stage.delivery.state, stage.attempts[0].state) == ("failed", "in_doubt")
    [planned] = stage.plan(worker, state="failed")
    assert planned.plan is Plan.REFUSED
    assert "it may have happened" in planned.why
    assert stage.replay(worker, [planned]) == 0
    [planned] = stage.plan(worker, again=True, state="failed")
    with pytest.raises(Refused):
        stage.replay(worker, [planned])
    stage.drain(worker)
    assert len(stage.far_end.received) == 1
    assert stage.replay(worker, [planned], reason="they saw nothing") == 1
    stage.drain(worker)
    assert (stage.delivery.state, len(stage.far_end.received)) == ("succeeded", 2)


def test_what_is_sent_again_after_a_doubt_has_not_ended(stage) -> None:
    worker = left_unknown(stage, once())
    assert stage.delivery.finished_at is not None
    settled(stage, SettleAnswer.AGAIN)
    assert (stage.delivery.state, stage.delivery.finished_at) == ("retrying", None)
    stage.drain(worker)
    assert stage.delivery.state == "succeeded"
    assert stage.delivery.finished_at is not None


def test_a_plan_that_was_overtaken_makes_no_new_key_of_a_doubt(stage) -> None:
    """Rejected and previewed; then replayed by another person, and now in doubt."""
    worker = stage.worker_context(keyed("retry: {attempts: 1}"))
    stage.far_end.behave = lambda _: Reply(400)
    stage.put(worker, "evt_1")
    stage.drain(worker)
    stale = stage.plan(worker, state="failed")
    assert [one.plan for one in stale] == [Plan.ANEW]
    stage.far_end.behave = lambda _: Reply(500)
    assert stage.replay(worker, stage.plan(worker, state="failed")) == 1
    stage.drain(worker)
    assert (stage.delivery.state, stage.attempts[-1].state) == ("failed", "in_doubt")
    assert stage.replay(worker, stale) == 0
    assert (stage.delivery.state, stage.delivery.key_n) == ("failed", 1)
    stage.far_end.behave = lambda _: Reply()
    [fresh] = stage.plan(worker, state="failed")
    assert fresh.plan is Plan.REPEAT
    assert stage.replay(worker, [fresh]) == 1
    stage.drain(worker)
    assert sorted(stage.far_end.keys().values()) == [1, 2]


@pytest.mark.parametrize(("when", "state"), [("> 1000000", "skipped"), ("> 10", "succeeded")])
def test_a_condition_that_failed_is_asked_when_it_is_replayed(stage, when, state) -> None:
    broken = stage.worker_context(WHEN.format(when="data.amount > 'x'"))
    stage.put(broken, "evt_1")
    assert stage.delivery.state == "failed"
    mended = stage.worker_context(WHEN.format(when=f"data.amount {when}"))
    assert stage.replay(mended, stage.plan(mended, state="failed")) == 1
    stage.drain(mended)
    assert stage.delivery.state == state
    assert len(stage.far_end.received) == (state == "succeeded")


def test_thousands_are_replayed_in_portions_so_that_webhooks_get_in_between(
    sqlite_stage, monkeypatch
) -> None:
    stage = sqlite_stage
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    row = stage.delivery._asdict() | {"state": "failed", "next_attempt_at": None}
    rows = [row | {"id": new_id(days_ago(0)), "route": f"route-{n}"} for n in range(1201)]
    with stage.store.write() as connection:
        connection.execute(Delivery.__table__.insert(), rows)
    for name, value in stage.environ(keyed()).items():
        monkeypatch.setenv(name, value)
    portions = [0]

    def count(connection, cursor, statement, *_) -> None:
        portions[-1] += statement.startswith("UPDATE deliveries")

    def begin_another(connection) -> None:
        portions.append(0)

    handlers, level = logging.root.handlers[:], logging.root.level
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", begin_another)
    try:
        done = CliRunner().invoke(command_line, ["replay", "--where", "state=failed", "--yes"])
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        event.remove(Engine, "commit", begin_another)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert done.exit_code == 0, done.output
    assert [portion for portion in portions if portion] == [500, 500, 201]
    assert {one.state for one in stage.deliveries} == {"pending"}
    assert len(stage.rows(AuditEntry)) == 1201
