"""Configuration files of two versions at once: a rolling deploy, and routes that have changed."""

import pytest

from hub.core.errors import ConfigError
from hub.core.models import Delivery
from tests.engine.stage import days_ago, keyed
from tests.far_end import Reply

FEWER = """
destinations: {ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}"}}
routes:
  all: {on: payment.succeeded, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
"""
MORE = FEWER + "  more: {on: payment.succeeded, do: ops.post, with: {body: {more: true}}}\n"
ELSEWHERE = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/old", secret: "${OPS_SECRET}"}
  new: {adapter: http, url: "${FAR_END}/new", secret: "${OPS_SECRET}"}
routes: {all: {on: payment.succeeded, do: DO, with: {body: {for: DO}}}}
"""
OLD, NEW = ELSEWHERE.replace("DO", "ops.post"), ELSEWHERE.replace("DO", "new.put")


def test_a_worker_with_the_older_file_leaves_a_new_routes_work_to_the_newer(stage) -> None:
    older, newer = stage.worker_context(FEWER), stage.worker_context(MORE)
    stage.put(newer, "evt_1")
    stage.drain(older)
    known, fresh = sorted(stage.deliveries, key=lambda row: row.route)
    assert known.state == "succeeded"
    assert fresh.state == "pending"
    assert 20 < (fresh.next_attempt_at - fresh.created_at).total_seconds() < 40
    stage.make_due()
    stage.drain(newer)
    assert {row.state for row in stage.deliveries} == {"succeeded"}
    assert {row.error for row in stage.deliveries} == {None}


def test_a_route_that_no_file_brings_within_ten_minutes_fails_with_what_to_do(stage) -> None:
    older, newer = stage.worker_context(FEWER), stage.worker_context(MORE)
    stage.put(newer, "evt_1")
    stage.change(Delivery, since=days_ago(11 / 60 / 24))
    stage.drain(older)
    [fresh] = [row for row in stage.deliveries if row.route == "more"]
    assert fresh.state == "failed"
    assert "route more is not in hub.yaml any more" in fresh.error


def test_a_route_that_is_gone_from_the_very_file_that_matched_it_fails_at_once(stage) -> None:
    worker = stage.worker_context(keyed())
    stage.put(worker, "evt_1")
    stage.change(Delivery, route="never")
    stage.drain(worker)
    assert stage.delivery.state == "failed"


def test_what_is_under_way_is_not_done_as_another_action_until_it_is_replayed(stage) -> None:
    stage.put(stage.worker_context(OLD), "evt_1")
    stage.change(Delivery, since=days_ago(1))
    newer = stage.worker_context(NEW)
    stage.drain(newer)
    assert stage.far_end.received == []
    assert stage.delivery.state == "failed"
    assert stage.delivery.error == "route all now does new.put: replay to do that"
    assert stage.replay(newer, stage.plan(newer, state="failed")) == 1
    stage.drain(newer)
    [call] = stage.far_end.received
    assert (call.method, call.path, call.json) == ("PUT", "/new", {"for": "new.put"})
    assert (stage.delivery.destination, stage.delivery.action) == ("new", "put")
    assert stage.delivery.state == "succeeded"


def test_what_was_tried_already_goes_on_as_it_began(stage) -> None:
    stage.far_end.behave = lambda _: Reply(503)
    older = stage.worker_context(OLD)
    stage.put(older, "evt_1")
    stage.drain(older)
    stage.make_due()
    stage.far_end.behave = lambda _: Reply()
    stage.drain(stage.worker_context(NEW))
    assert [(one.method, one.path) for one in stage.far_end.received] == [("POST", "/old")] * 2
    assert {one.body for one in stage.far_end.received} == {b'{"for":"ops.post"}'}
    assert len(stage.far_end.keys()) == 1


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-API-Key"])
def test_a_credential_among_the_headers_of_a_route_is_refused(sqlite_stage, name: str) -> None:
    header = f"with: {{headers: {{{name}: 'Bearer ${{OPS_SECRET}}'}}, "
    with pytest.raises(ConfigError) as refused:
        sqlite_stage.worker_context(keyed().replace("with: {", header))
    assert name.lower() in str(refused.value)
    assert "whsec" not in str(refused.value)
