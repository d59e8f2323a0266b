"""Replay of deliveries: repeated because a person asked, and never a second time by accident."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update

from hub.core.errors import Refused
from hub.core.models import Attempt, AuditEntry, Delivery, DeliveryState, database_now
from hub.core.replays.replay import FILTER_NAMES, Plan, preview_deliveries, replay_deliveries
from tests.core.making import (
    NOW,
    Town,
    attempts_of,
    deliveries_of,
    lease_of,
    one_delivery,
    route,
    rows,
    until_somebody_waits,
)


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        yield connection


def plan_of(connection, *, again: bool = False, **values: Any):
    """Return the plan for the only delivery after setting its columns."""
    [planned] = preview_deliveries(
        connection, Town(), {"id": one_delivery(connection, **values)}, again=again
    )
    return planned


def run(connection, planned, **options: Any) -> int:
    return replay_deliveries(connection, Town(), [planned], actor="cli:jane", now=NOW, **options)


@pytest.mark.parametrize(
    ("state", "again", "plan"),
    [
        ("waiting", False, Plan.NOW), ("waiting", True, Plan.NOW),
        ("pending", False, Plan.REFUSED), ("pending", True, Plan.REFUSED),
        ("running", False, Plan.REFUSED), ("running", True, Plan.REFUSED),
        ("succeeded", False, Plan.REFUSED), ("succeeded", True, Plan.AGAIN),
        ("retrying", False, Plan.NOW), ("retrying", True, Plan.NOW),
        ("failed", False, Plan.ANEW), ("failed", True, Plan.ANEW),
        ("unknown", False, Plan.REFUSED), ("unknown", True, Plan.REFUSED),
        ("skipped", False, Plan.ANEW), ("skipped", True, Plan.ANEW),
    ],
)  # fmt: skip
def test_what_a_replay_makes_of_each_state(connection, state: str, again: bool, plan: Plan) -> None:
    planned = plan_of(connection, state=state, again=again)
    assert planned.plan is plan
    assert bool(planned.why) is (plan is Plan.REFUSED)
    before = deliveries_of(connection)
    count = run(connection, planned, reason="asked")
    assert count == (0 if plan is Plan.REFUSED else 1)
    assert (deliveries_of(connection) == before) is (plan is Plan.REFUSED)


def test_every_state_is_in_that_table() -> None:
    assert len(DeliveryState) == 8


def test_a_rejected_one_is_due_at_once_with_a_new_key_and_all_its_tries(connection) -> None:
    planned = plan_of(
        connection,
        state="failed",
        error="no",
        tries=12,
        since=NOW.replace(year=2020),
        finished_at=NOW,
        next_attempt_at=None,
    )
    assert run(connection, planned) == 1
    [delivery] = deliveries_of(connection)
    assert (delivery.state, delivery.key_n, delivery.tries) == ("pending", 1, 0)
    assert (delivery.error, delivery.finished_at) == (None, None)
    assert delivery.since.year > 2020
    assert delivery.next_attempt_at <= connection.scalar(select(database_now()))


def test_one_that_may_have_been_processed_keeps_its_key(connection, town) -> None:
    town.claim(connection, lease_of(connection))
    connection.execute(update(Attempt).values(state="in_doubt"))
    planned = plan_of(connection, state="failed")
    assert planned.plan is Plan.REPEAT
    run(connection, planned)
    [delivery] = deliveries_of(connection)
    assert (delivery.state, delivery.key_n) == ("pending", 0)


def test_one_that_waits_is_only_due_sooner(connection) -> None:
    planned = plan_of(connection, state="retrying", tries=5, error="busy",
                      next_attempt_at=NOW.replace(year=2100))  # fmt: skip
    run(connection, planned)
    [delivery] = deliveries_of(connection)
    assert (delivery.state, delivery.tries, delivery.error) == ("retrying", 5, "busy")
    assert delivery.next_attempt_at.year < 2100


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_what_succeeded_happens_again_only_with_a_reason(connection, reason) -> None:
    planned = plan_of(connection, state="succeeded", again=True)
    with pytest.raises(Refused, match="--reason"):
        run(connection, planned, reason=reason)
    assert rows(connection, AuditEntry) == []
    assert run(connection, planned, reason="they lost it") == 1
    [delivery] = deliveries_of(connection)
    assert (delivery.state, delivery.key_n) == ("pending", 1)


def test_the_audit_log_says_who_did_what_and_why(connection) -> None:
    planned = plan_of(connection, state="failed")
    run(connection, planned, reason="mended the token")
    [entry] = rows(connection, AuditEntry)
    assert (entry.actor, entry.action) == ("cli:jane", "replay.anew")
    assert entry.subject == f"delivery {planned.delivery_id}"
    assert (entry.reason, entry.at) == ("mended the token", NOW)
    assert entry.detail == {"from": "failed"}


def test_what_moved_on_since_the_preview_stays_as_it_is(connection) -> None:
    planned = plan_of(connection, state="failed")
    one_delivery(connection, state="succeeded")
    assert run(connection, planned) == 0
    assert deliveries_of(connection)[0].state == "succeeded"
    assert rows(connection, AuditEntry) == []


def test_two_who_replay_the_same_at_once_replay_it_once(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, *({"id": f"e{n}"} for n in range(20)))
        connection.execute(update(Delivery).values(state="failed"))
        planned = preview_deliveries(connection, Town(), {"state": "failed"})
    barrier = Barrier(2)

    def both(_: int) -> int:
        barrier.wait()
        with database.write() as connection:
            return replay_deliveries(connection, town, planned, actor="cli:jane", now=NOW)

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(both, range(2)))
    assert sum(counts) == 20
    with database.read() as connection:
        assert {row.key_n for row in deliveries_of(connection)} == {1}
        assert len(rows(connection, AuditEntry)) == 20


@pytest.fixture
def many(database):
    town = Town(
        routes=[
            route("a", on=("*",)),
            route("b", on=("sms.sent",), destination="crm", action="put"),
        ]
    )
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2", "type": "sms.sent"})
        connection.execute(update(Delivery).values(state="failed"))
        connection.execute(update(Delivery).where(Delivery.route == "b").values(state="succeeded"))
        yield connection


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({}, 3), ({"state": "failed"}, 2), ({"destination": "crm"}, 1), ({"route": "a"}, 2),
        ({"action": "put"}, 1), ({"type": "sms.sent"}, 2), ({"source": "provider"}, 3),
        ({"source": "other"}, 0), ({"type": "sms.sent", "state": "failed"}, 1),
    ],
)  # fmt: skip
def test_a_filter_selects_by_each_of_its_names(many, where: dict[str, str], count: int) -> None:
    assert len(preview_deliveries(many, Town(), where)) == count
    assert where.keys() <= FILTER_NAMES


def test_all_deliveries_of_an_event_are_selected_by_its_id(many) -> None:
    event_id = next(row.event_id for row in deliveries_of(many) if row.route == "b")
    planned = preview_deliveries(many, Town(), {"event": event_id})
    assert {(one.route, one.plan) for one in planned} == {("a", Plan.ANEW), ("b", Plan.REFUSED)}


def test_a_bulk_replay_leaves_alone_what_it_may_not_touch(many) -> None:
    assert (
        replay_deliveries(
            many, Town(), preview_deliveries(many, Town(), {}), actor="cli:jane", now=NOW
        )
        == 2
    )
    assert sorted(row.state for row in deliveries_of(many)) == ["pending", "pending", "succeeded"]
    assert attempts_of(many) == []


def test_a_call_that_ends_in_doubt_while_it_is_waited_for_keeps_its_key(database, town) -> None:
    """The attempts that are read must be as new as the delivery's row, which was waited for."""
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        [planned] = preview_deliveries(
            connection, town, {"id": one_delivery(connection, state="failed")}
        )
        one_delivery(connection, state="pending")  # another person has replayed it first
        town.claim(connection, lease_of(connection))

    def run_it_again() -> int:
        with database.write() as connection:
            return replay_deliveries(connection, town, [planned], actor="cli:jane", now=NOW)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            connection.execute(update(Attempt).values(state="in_doubt"))
            one_delivery(connection, state="failed")
            replayed = pool.submit(run_it_again)
            until_somebody_waits(database, or_has_ended=replayed)
        assert replayed.result() == 0
    with database.read() as connection:
        [delivery] = deliveries_of(connection)
    assert (delivery.state, delivery.key_n) == ("failed", 0)
