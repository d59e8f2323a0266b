"""The delivery ledger's one decision: what a call's end makes of its delivery. Pure.

waiting ─▶ pending ─▶ running ─▶ succeeded
(for time)    ▲          ├─▶ retrying   not processed; again when it is due ─▶ running
              │          ├─▶ failed     permanent, or attempts or age exhausted
              │          └─▶ unknown    may have been processed ─▶ succeeded | retrying | failed
              └ replay
skipped (the reason beside it)
"""

from dataclasses import dataclass

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import RetryPlan
from hub.core.models import AttemptState, DeliveryState
from hub.core.retry import retry_delay_s

WORKER_DIED = Outcome(Verdict.IN_DOUBT, "the worker that made this call ended before its answer")


@dataclass(frozen=True, slots=True)
class Protection:
    """What keeps an action from happening twice, and how often it may be tried."""

    effect: Effect
    plan: RetryPlan
    at_least_once: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether a call of unknown outcome may be made again."""
        return self.at_least_once or self.effect is not Effect.AT_MOST_ONCE


@dataclass(frozen=True, slots=True)
class Spent:
    """What a delivery has behind it, this attempt included."""

    tries: int
    age_s: float
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Where a delivery and its attempt go. `delay_s` is set when the delivery is due again."""

    delivery: DeliveryState
    attempt: AttemptState
    error: str | None = None
    delay_s: float | None = None
    spends_try: bool = True


def after_call(outcome: Outcome, protection: Protection, spent: Spent, *, chance: float) -> Step:
    """Return what an outcome makes of a running delivery. `chance` in [0, 1) is the jitter."""
    if outcome.verdict is Verdict.SUCCEEDED:
        return Step(DeliveryState.SUCCEEDED, AttemptState.ACCEPTED)
    if outcome.verdict is Verdict.PERMANENT:
        return Step(DeliveryState.FAILED, AttemptState.REJECTED, outcome.message)
    if outcome.verdict is Verdict.BLOCKED:
        return Step(
            DeliveryState.RETRYING, AttemptState.BLOCKED, outcome.message, 0, spends_try=False
        )
    if outcome.verdict is Verdict.NOT_PROCESSED:
        return _again(AttemptState.NOT_PROCESSED, outcome, protection.plan, spent, chance)
    if protection.repeatable:
        return _again(AttemptState.IN_DOUBT, outcome, protection.plan, spent, chance)
    return Step(DeliveryState.UNKNOWN, AttemptState.UNKNOWN, outcome.message)


def _again(
    attempt: AttemptState, outcome: Outcome, plan: RetryPlan, spent: Spent, chance: float
) -> Step:
    if spent.age_s >= plan.max_age_s:
        hours = plan.max_age_s / 3600
        return Step(DeliveryState.FAILED, attempt, f"gave up after {hours:g} h: {outcome.message}")
    if spent.tries >= plan.attempts and not spent.probing:
        error = f"gave up after {spent.tries} attempts: {outcome.message}"
        return Step(DeliveryState.FAILED, attempt, error)
    delay_s = retry_delay_s(plan, spent.tries, chance=chance, asked_s=outcome.retry_after_s)
    return Step(
        DeliveryState.RETRYING, attempt, outcome.message, delay_s, spends_try=not spent.probing
    )
