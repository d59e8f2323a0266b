"""Transitions of the delivery ledger: pure decisions on a call's end and on later evidence.

waiting ─▶ pending ─▶ running ─▶ succeeded
(for time)    ▲          ├─▶ retrying   not processed; again when it is due ─▶ running
              │          ├─▶ failed     permanent, or attempts or age exhausted
              │          └─▶ unknown    may have been processed ─▶ succeeded | retrying | failed
              └ replay
skipped (the reason is in `error`)
"""

from dataclasses import dataclass

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import RetryPlan
from hub.core.delivery.backoff import retry_delay_s
from hub.core.models import AttemptState, DeliveryState

LOOK_AGAIN_S = 60.0
# Look-ups, at least `LOOK_AGAIN_S` apart, that must find nothing before a call counts as not made.
ABSENCES = 2

WORKER_DIED = Outcome(Verdict.IN_DOUBT, "the worker that made this call ended before its answer")
# Attempts of a delivery that may end with a worker's death in a row. The first two deaths may have
# another cause, a neighbouring call or an operator's stop of the worker; the last call runs alone.
MOST_DEATHS = 3
DEADLY = (
    f"gave up after {MOST_DEATHS} attempts: each of them ended the worker that made it, by a crash "
    "or by never coming back: see the worker's log, mend what is wrong there, then replay"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry policy of an action: its effect class and its retry limits."""

    effect: Effect
    plan: RetryPlan
    at_least_once: bool = False

    @property
    def repeatable(self) -> bool:
        """Return whether a call of unknown outcome may be made again."""
        return self.at_least_once or self.effect is not Effect.AT_MOST_ONCE


@dataclass(frozen=True, slots=True)
class Budget:
    """Retry budget that a delivery has spent, this attempt included."""

    tries: int
    age_s: float
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """Transition of a delivery and its attempt. `delay_s` is set if the delivery is due again."""

    delivery: DeliveryState
    attempt: AttemptState
    error: str | None = None
    delay_s: float | None = None
    spends_try: bool = True


def on_result(
    outcome: Outcome, policy: RetryPolicy, budget: Budget, *, chance: float
) -> Transition:
    """Return the transition of a running delivery by an outcome.

    `chance` in [0, 1) is the jitter.
    """
    if outcome.verdict is Verdict.SUCCEEDED:
        return Transition(DeliveryState.SUCCEEDED, AttemptState.ACCEPTED)
    if outcome.verdict is Verdict.PERMANENT:
        return Transition(DeliveryState.FAILED, AttemptState.REJECTED, outcome.message)
    if outcome.verdict is Verdict.BLOCKED:
        return Transition(
            DeliveryState.RETRYING, AttemptState.BLOCKED, outcome.message, 0, spends_try=False
        )
    if outcome.verdict is Verdict.NOT_PROCESSED:
        return _again(AttemptState.NOT_PROCESSED, outcome, policy.plan, budget, chance)
    if policy.repeatable:
        return _again(AttemptState.IN_DOUBT, outcome, policy.plan, budget, chance)
    return Transition(DeliveryState.UNKNOWN, AttemptState.UNKNOWN, outcome.message)


def on_worker_death(
    policy: RetryPolicy, budget: Budget, *, suspected: bool, chance: float
) -> Transition:
    """Return the transition of a running delivery whose worker died.

    `suspected`: the attempts before this one ended so too, and this one was made alone.
    """
    transition = on_result(WORKER_DIED, policy, budget, chance=chance)
    if suspected and transition.delivery is not DeliveryState.UNKNOWN:
        return Transition(DeliveryState.FAILED, transition.attempt, DEADLY)
    return transition


def _again(
    attempt: AttemptState, outcome: Outcome, plan: RetryPlan, budget: Budget, chance: float
) -> Transition:
    if budget.age_s >= plan.max_age_s:
        hours = plan.max_age_s / 3600
        return Transition(
            DeliveryState.FAILED, attempt, f"gave up after {hours:g} h: {outcome.message}"
        )
    if budget.tries >= plan.attempts and not budget.probing:
        error = f"gave up after {budget.tries} attempts: {outcome.message}"
        return Transition(DeliveryState.FAILED, attempt, error)
    delay_s = retry_delay_s(plan, budget.tries, chance=chance, asked_s=outcome.retry_after_s)
    return Transition(
        DeliveryState.RETRYING, attempt, outcome.message, delay_s, spends_try=not budget.probing
    )


@dataclass(frozen=True, slots=True)
class Known:
    """State of an attempt and its delivery when evidence about the attempt arrives.

    `ref` is the provider's id of the effect, if known. `accepted_besides`: another attempt of the
    same delivery is known to have been accepted.
    """

    delivery: DeliveryState
    attempt: AttemptState
    ref: str | None = None
    accepted_besides: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """Resolution of an attempt and its delivery by evidence; None leaves a state unchanged.

    `double`: the effect happened a second time.
    """

    delivery: DeliveryState | None = None
    attempt: AttemptState | None = None
    double: bool = False


def on_confirmed(known: Known, seen_ref: str | None) -> Resolution:
    """Return the resolution by evidence that the provider processed an attempt.

    While the call is in flight its own end decides; the evidence is kept until then.
    """
    if known.attempt is AttemptState.CALLING:
        return Resolution()
    if known.attempt is AttemptState.ACCEPTED:
        return Resolution(double=bool(seen_ref and known.ref and seen_ref != known.ref))
    if known.accepted_besides:
        was_open = known.attempt is AttemptState.UNKNOWN
        succeeded = DeliveryState.SUCCEEDED if was_open else None
        return Resolution(succeeded, AttemptState.ACCEPTED, double=True)
    if known.delivery is DeliveryState.RUNNING or (
        known.delivery is DeliveryState.UNKNOWN and known.attempt is not AttemptState.UNKNOWN
    ):
        # A later attempt is open: its end decides about the delivery.
        return Resolution(attempt=AttemptState.ACCEPTED)
    return Resolution(DeliveryState.SUCCEEDED, AttemptState.ACCEPTED)


def on_not_found(known: Known, absences: int, since_last_s: float | None) -> Resolution:
    """Return the resolution by a look-up that found nothing, for the `absences`-th time in a row.

    `since_last_s` is the number of seconds since the previous look-up.
    """
    apart = since_last_s is not None and since_last_s >= LOOK_AGAIN_S
    if known.attempt is not AttemptState.UNKNOWN or absences < ABSENCES or not apart:
        return Resolution()
    return Resolution(DeliveryState.RETRYING, AttemptState.NOT_PROCESSED)


def already_confirmed(attempt: AttemptState, *, seen: bool) -> bool:
    """Return whether an earlier attempt under the same key makes the next attempt needless.

    A callback may have reported its acceptance while a later attempt, or its own call, was in
    flight: whatever the ends of those calls made of the delivery, no further call is made.
    """
    return seen or attempt is AttemptState.ACCEPTED
