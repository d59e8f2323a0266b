"""Recording of outcomes: only by the lane's holder; attempts of dead workers are settled."""

from typing import Any

import pytest
from sqlalchemy import select, update

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import RetryPlan
from hub.core.delivery.record import Finished, abandon, orphans, record
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from hub.core.models import Delivery, database_now
from tests.core.making import attempts_of, deliveries_of, end_lease, lease_of

KEYED = RetryPolicy(Effect.KEYED, RetryPlan())
ONCE = RetryPolicy(Effect.AT_MOST_ONCE, RetryPlan())
DONE = Outcome(Verdict.SUCCEEDED, status=200, provider_ref="501")


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        yield connection


def start(connection, town) -> tuple[Any, Any]:
    lease = lease_of(connection)
    [claimed] = town.claim(connection, lease)
    return lease, claimed


def finish(connection, lease, claimed, outcome, protection=KEYED, request=None, **spent: Any):
    """Record an outcome; return the delivery and its last attempt afterwards."""
    transition = on_result(
        outcome, protection, Budget(**{"tries": claimed.tries, "age_s": 0} | spent), chance=0.5
    )
    record(connection, [
        Finished(claimed.delivery_id, claimed.attempt_id, lease.token, outcome, transition, request)
    ])  # fmt: skip
    [delivery] = deliveries_of(connection)
    return delivery, attempts_of(connection)[-1]


def test_a_success_ends_the_delivery_with_the_providers_reference(connection, town) -> None:
    delivery, attempt = finish(connection, *start(connection, town), DONE, request={"url": "x"})
    assert (delivery.state, delivery.provider_ref, delivery.error) == ("succeeded", "501", None)
    assert delivery.next_attempt_at is None
    assert delivery.finished_at is not None
    assert (attempt.state, attempt.status, attempt.provider_ref) == ("accepted", 200, "501")
    assert attempt.request == {"url": "x"}
    assert attempt.ended_at is not None


def test_a_rejection_ends_it_with_the_providers_words(connection, town) -> None:
    outcome = Outcome(Verdict.PERMANENT, "21211: not a number", status=400, code="21211")
    delivery, attempt = finish(connection, *start(connection, town), outcome)
    assert (delivery.state, delivery.error) == ("failed", "21211: not a number")
    assert (attempt.state, attempt.code, attempt.message) == (
        "rejected", "21211", "21211: not a number",
    )  # fmt: skip


def test_what_was_not_processed_is_due_again_by_the_databases_clock(connection, town) -> None:
    outcome = Outcome(Verdict.NOT_PROCESSED, "busy", status=429, retry_after_s=100)
    delivery, attempt = finish(connection, *start(connection, town), outcome)
    assert (delivery.state, delivery.error, delivery.tries) == ("retrying", "busy", 1)
    assert attempt.state == "not_processed"
    wait = (delivery.next_attempt_at - connection.scalar(select(database_now()))).total_seconds()
    assert 103 < wait <= 105


@pytest.mark.parametrize(
    ("outcome", "probing"),
    [
        (Outcome(Verdict.BLOCKED, "401"), False),
        (Outcome(Verdict.NOT_PROCESSED, "down"), True),
    ],
)
def test_a_refused_account_and_a_probe_spend_no_try(connection, town, outcome, probing) -> None:
    delivery, _ = finish(connection, *start(connection, town), outcome, probing=probing)
    assert (delivery.state, delivery.tries, delivery.attempts) == ("retrying", 0, 1)


def test_a_strangers_words_are_cut_and_cleaned_for_the_database(connection, town) -> None:
    words = "no\x00pe \ud800" + "x" * 1000
    outcome = Outcome(Verdict.PERMANENT, words, code=words, provider_ref=words)
    delivery, attempt = finish(connection, *start(connection, town), outcome)
    assert len(delivery.error) == len(attempt.message) == 500
    assert delivery.error.startswith("no\ufffdpe ")


def test_whoever_lost_the_lane_changes_nothing(connection, town) -> None:
    lease, claimed = start(connection, town)
    end_lease(connection)
    new = lease_of(connection, holder="new")
    connection.execute(update(Delivery).values(lane_token=new.token))
    delivery, attempt = finish(connection, lease, claimed, DONE)
    assert (delivery.state, delivery.provider_ref) == ("running", None)
    assert (attempt.state, attempt.ended_at) == ("calling", None)


def test_the_same_end_recorded_twice_is_recorded_once(connection, town) -> None:
    lease, claimed = start(connection, town)
    finish(connection, lease, claimed, DONE)
    late = Outcome(Verdict.PERMANENT, "late")
    delivery, attempt = finish(connection, lease, claimed, late)
    assert (delivery.state, attempt.state) == ("succeeded", "accepted")


def test_many_ends_of_all_kinds_are_recorded_in_one_go(database, town) -> None:
    outcomes = [DONE, Outcome(Verdict.PERMANENT, "no"), Outcome(Verdict.NOT_PROCESSED, "later"),
                Outcome(Verdict.IN_DOUBT, "lost")]  # fmt: skip
    with database.write() as connection:
        town.take_in(connection, *({"id": f"e{n}"} for n in range(4)))
        lease = lease_of(connection)
        claimed = town.claim(connection, lease)
        record(connection, [
            Finished(one.delivery_id, one.attempt_id, lease.token, outcome,
                     on_result(outcome, ONCE, Budget(1, 0), chance=0.5))
            for one, outcome in zip(claimed, outcomes, strict=True)
        ])  # fmt: skip
        record(connection, [])
        states = {row.id: row.state for row in deliveries_of(connection)}
    assert [states[one.delivery_id] for one in claimed] == [
        "succeeded", "failed", "retrying", "unknown",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("protection", "state", "attempt_state"),
    [
        (KEYED, "retrying", "in_doubt"),
        (RetryPolicy(Effect.NATURAL, RetryPlan()), "retrying", "in_doubt"),
        (ONCE, "unknown", "unknown"),
        (RetryPolicy(Effect.AT_MOST_ONCE, RetryPlan(), at_least_once=True), "retrying", "in_doubt"),
    ],
)
def test_the_call_of_a_worker_that_died_is_settled_by_its_class(
    connection, town, protection, state: str, attempt_state: str
) -> None:
    start(connection, town)
    end_lease(connection)
    new = lease_of(connection, holder="new")
    [orphan] = orphans(connection, new)
    assert orphan["action"] == "post"
    record(connection, [abandon(orphan, protection, chance=0.5)])
    [delivery], [attempt] = deliveries_of(connection), attempts_of(connection)
    assert (delivery.state, attempt.state) == (state, attempt_state)
    assert "worker" in delivery.error
    assert orphans(connection, new) == []


def test_calls_of_the_holder_itself_are_no_orphans(connection, town) -> None:
    lease, _ = start(connection, town)
    assert orphans(connection, lease) == []
