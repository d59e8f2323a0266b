"""Random connection cuts: every delivery ends with a reason, and no effect goes unnoticed."""

from collections import Counter

from sqlalchemy import func, select

from hub.core.delivery.lanes import LEASE_S
from hub.core.inbound.ingest import ingest
from hub.core.models import DUE_STATES, Delivery
from tests.engine.chaos import Side, cutter, drainer, leases, outside_of, watcher
from tests.engine.stage import eventually
from tests.far_end import Received, Reply

EVENTS = 67
# Twice each: not ten in a row, which would open the circuit.
DOWN_FOR = {f"evt_{n}" for n in (0, 17, 34, 51)}
CONFIG = """
destinations:
  fast:
    {adapter: http, url: "${FAR_END}/fast", secret: "${OPS_SECRET}", timeout: 5s,
     retry: {first_delay: 1s}}
  slow: {adapter: slack, url: "${FAR_END}/slow", timeout: 5s, concurrency: 4}
  refusing:
    {adapter: http, url: "${FAR_END}/refusing", secret: "${OPS_SECRET}", timeout: 5s,
     retry: {attempts: 2, first_delay: 1s}}
routes:
  fast: {on: payment.succeeded, do: fast.post, with: {body: {event: "{{ event.external_id }}"}}}
  slow: {on: payment.succeeded, do: slow.post, with: {text: "{{ event.external_id }}"}}
  refusing:
    {on: payment.succeeded, do: refusing.post, with: {body: {event: "{{ event.external_id }}"}}}
"""


def behave(call: Received) -> Reply:
    if call.path == "/slow":
        return Reply(200, b"ok", after_s=0.3)
    if call.path == "/refusing":
        return Reply(503 if call.json["event"] in DOWN_FOR else 422)
    return Reply()


def test_no_cut_line_makes_a_call_happen_twice_or_a_delivery_stay_behind(
    postgresql_stage, postgresql_url
) -> None:
    stage = postgresql_stage
    stage.far_end.behave = behave
    workers = [stage.worker_context(CONFIG) for _ in range(3)]
    outside = outside_of(postgresql_url)
    troubles: list[str] = []
    cuts: list[int] = []
    longest: dict[str, float] = {}

    def left() -> int:
        with outside.read() as connection:
            going = Delivery.state.in_((*DUE_STATES, "running"))
            return connection.scalar(select(func.count()).select_from(Delivery).where(going))

    with Side(watcher(outside, longest), *(drainer(worker, troubles) for worker in workers)):
        with Side(cutter(outside, cuts)):
            for n in range(EVENTS):
                with outside.write() as connection:
                    ingest(connection, stage.prepared(workers[0].hub, f"evt_{n}"))
            eventually(lambda: len(cuts) > 25, 20)
        eventually(lambda: left() == 0, 45)
    assert troubles == []
    assert max(longest.values()) <= LEASE_S + 0.1
    assert leases(outside) == []
    check_deliveries(stage)
    check_calls(stage)
    outside.engine.dispose()


def check_deliveries(stage) -> None:
    """Assert that each delivery has ended, with an error unless it succeeded."""
    deliveries = stage.deliveries
    assert len(deliveries) == EVENTS * 3
    ends = {"fast": {"succeeded"}, "slow": {"succeeded", "unknown"}, "refusing": {"failed"}}
    for row in deliveries:
        assert row.state in ends[row.route], (row.route, row.state, row.error)
        assert row.state == "succeeded" or row.error
    assert {row.state for row in stage.attempts} <= {
        "accepted", "rejected", "not_processed", "in_doubt", "unknown",
    }  # fmt: skip
    assert sum(row.state == "unknown" for row in deliveries) < EVENTS / 2


def check_calls(stage) -> None:
    """Assert one id per delivery over all its calls, and at most one call without an id."""
    calls = list(stage.far_end.received)
    ids = {(one.path, one.json["event"], one.headers["webhook-id"]) for one in calls
           if one.path != "/slow"}  # fmt: skip
    assert len(ids) == EVENTS * 2
    assert {id for _, _, id in ids} == {
        str(row.id) for row in stage.deliveries if row.route != "slow"
    }
    unprotected = Counter(one.json["text"] for one in calls if one.path == "/slow")
    assert set(unprotected.values()) == {1}
    known = sum(row.route == "slow" and row.state == "succeeded" for row in stage.deliveries)
    assert known <= len(unprotected) <= EVENTS
