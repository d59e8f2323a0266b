"""Transitions: the state of a delivery after an outcome, and the time of its next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import RetryPlan
from hub.core.delivery.backoff import block_s, retry_delay_s
from hub.core.delivery.transitions import DEADLY, Budget, RetryPolicy, on_result, on_worker_death

PLAN = RetryPlan()
CHANCE = st.floats(0, 1, exclude_max=True)
PLANS = st.builds(
    RetryPlan,
    attempts=st.integers(1, 50),
    max_age_s=st.floats(60, 1e7),
    first_delay_s=st.floats(0.1, 3600),
    max_delay_s=st.floats(1, 86400),
)


def transition(verdict: Verdict, effect: Effect, *, at_least_once=False, tries=1, age_s=0.0,
         probing=False, plan=PLAN, retry_after_s=None, chance=0.5):  # fmt: skip
    outcome = Outcome(verdict, "words", retry_after_s=retry_after_s)
    protection = RetryPolicy(effect, plan, at_least_once)
    return on_result(outcome, protection, Budget(tries, age_s, probing), chance=chance)


ALL = list(Effect)
SAFE = [Effect.KEYED, Effect.NATURAL]


@pytest.mark.parametrize(
    ("verdict", "effects", "at_least_once", "delivery", "attempt", "spends"),
    [
        (Verdict.SUCCEEDED, ALL, False, "succeeded", "accepted", True),
        (Verdict.SUCCEEDED, ALL, True, "succeeded", "accepted", True),
        (Verdict.PERMANENT, ALL, False, "failed", "rejected", True),
        (Verdict.PERMANENT, ALL, True, "failed", "rejected", True),
        (Verdict.BLOCKED, ALL, False, "retrying", "blocked", False),
        (Verdict.BLOCKED, ALL, True, "retrying", "blocked", False),
        (Verdict.NOT_PROCESSED, ALL, False, "retrying", "not_processed", True),
        (Verdict.NOT_PROCESSED, ALL, True, "retrying", "not_processed", True),
        (Verdict.IN_DOUBT, SAFE, False, "retrying", "in_doubt", True),
        (Verdict.IN_DOUBT, ALL, True, "retrying", "in_doubt", True),
        (Verdict.IN_DOUBT, [Effect.AT_MOST_ONCE], False, "unknown", "unknown", True),
    ],
)
def test_what_a_verdict_makes_of_a_delivery_is_decided_by_its_class_and_policy(
    verdict, effects, at_least_once, delivery, attempt, spends
) -> None:
    for effect in effects:
        found = transition(verdict, effect, at_least_once=at_least_once)
        assert (found.delivery, found.attempt, found.spends_try) == (delivery, attempt, spends)
        assert (found.delay_s is not None) == (delivery == "retrying")
        assert found.error == (None if delivery == "succeeded" else "words")


@given(tries=st.integers(1, 99), age_s=st.floats(0, 1e8), probing=st.booleans(), plan=PLANS)
def test_a_doubtful_call_of_an_unprotected_action_is_never_made_again_by_itself(
    tries, age_s, probing, plan
) -> None:
    found = transition(Verdict.IN_DOUBT, Effect.AT_MOST_ONCE, tries=tries, age_s=age_s,
                 probing=probing, plan=plan)  # fmt: skip
    assert found.delivery == "unknown"
    assert found.delay_s is None


@pytest.mark.parametrize("verdict", [Verdict.NOT_PROCESSED, Verdict.IN_DOUBT])
def test_after_its_last_attempt_a_delivery_fails_and_says_how_many_there_were(verdict) -> None:
    assert transition(verdict, Effect.KEYED, tries=11).delivery == "retrying"
    last = transition(verdict, Effect.KEYED, tries=12)
    assert last.delivery == "failed"
    assert last.error == "gave up after 12 attempts: words"
    assert last.attempt == ("not_processed" if verdict is Verdict.NOT_PROCESSED else "in_doubt")


def test_after_its_last_hour_a_delivery_fails_and_says_how_long_it_was_tried() -> None:
    assert (
        transition(Verdict.NOT_PROCESSED, Effect.KEYED, age_s=3 * 86400 - 1).delivery == "retrying"
    )
    late = transition(Verdict.NOT_PROCESSED, Effect.KEYED, age_s=3 * 86400)
    assert (late.delivery, late.error) == ("failed", "gave up after 72 h: words")


def test_a_probe_spends_no_try_and_does_not_exhaust_them() -> None:
    found = transition(Verdict.NOT_PROCESSED, Effect.KEYED, tries=12, probing=True)
    assert (found.delivery, found.spends_try) == ("retrying", False)


def test_a_refused_account_waits_for_days_without_a_try_spent() -> None:
    found = transition(Verdict.BLOCKED, Effect.KEYED, tries=99, age_s=1e9)
    assert (found.delivery, found.spends_try) == ("retrying", False)


@given(effect=st.sampled_from(SAFE), tries=st.integers(1, 60), plan=PLANS, chance=CHANCE)
def test_a_delivery_that_was_alone_with_a_third_worker_that_died_is_not_tried_again(
    effect, tries, plan, chance
) -> None:
    protection = RetryPolicy(effect, plan)
    found = on_worker_death(protection, Budget(tries, 0), suspected=True, chance=chance)
    assert (found.delivery, found.attempt, found.error) == ("failed", "in_doubt", DEADLY)
    assert found.delay_s is None
    before = on_worker_death(protection, Budget(tries, 0), suspected=False, chance=chance)
    assert before.delivery == ("retrying" if tries < plan.attempts else "failed")


@pytest.mark.parametrize("suspected", [False, True])
def test_a_death_leaves_a_call_that_nothing_protects_unknown_however_many_there_were(
    suspected,
) -> None:
    once, often = (RetryPolicy(Effect.AT_MOST_ONCE, PLAN, policy) for policy in (False, True))
    found = on_worker_death(once, Budget(3, 0), suspected=suspected, chance=0.5)
    assert (found.delivery, found.attempt) == ("unknown", "unknown")
    found = on_worker_death(often, Budget(3, 0), suspected=suspected, chance=0.5)
    assert found.delivery == ("failed" if suspected else "retrying")


@given(plan=PLANS, tries=st.integers(1, 1000), chance=CHANCE)
def test_a_delay_lies_between_nothing_and_its_cap(plan, tries, chance) -> None:
    delay_s = retry_delay_s(plan, tries, chance=chance)
    assert 0 <= delay_s <= plan.max_delay_s
    assert delay_s <= plan.first_delay_s * 2.0 ** min(tries - 1, 60)


@given(plan=PLANS, tries=st.integers(1, 1000), chance=CHANCE)
def test_with_every_try_the_delay_grows_until_its_cap(plan, tries, chance) -> None:
    before, after = (retry_delay_s(plan, n, chance=chance) for n in (tries, tries + 1))
    assert before <= after
    if 0 < after < plan.max_delay_s * chance:
        assert after == pytest.approx(2 * before)


def test_the_defaults_are_five_seconds_doubling_to_six_hours() -> None:
    caps = [retry_delay_s(PLAN, n, chance=0.999999) for n in (1, 2, 3, 13, 14)]
    assert caps == pytest.approx([5, 10, 20, 20480, 21600], rel=1e-5)


@given(asked_s=st.floats(-1e9, 1e9), chance=CHANCE, plan=PLANS, tries=st.integers(1, 99))
def test_what_the_far_end_asked_for_is_kept_between_a_second_and_six_hours(
    asked_s, chance, plan, tries
) -> None:
    delay_s = retry_delay_s(plan, tries, chance=chance, asked_s=asked_s)
    asked_s = min(max(asked_s, 1), 6 * 3600)
    assert asked_s <= delay_s <= asked_s * 1.1


def test_a_lane_rests_for_thirty_seconds_doubling_to_ten_minutes() -> None:
    assert [block_s(n) for n in (1, 2, 3, 4, 5, 6, 1000)] == [30, 60, 120, 240, 480, 600, 600]
