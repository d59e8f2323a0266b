"""The delivery ledger's decisions: what a call's end, and later evidence, make of it. Pure.

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
from hub.core.delivery.backoff import retry_delay_s
from hub.core.models import AttemptState, DeliveryState

LOOK_AGAIN_S = 60.0
# So many look-ups, so far apart, must find nothing before a call counts as not made.
ABSENCES = 2

WORKER_DIED = Outcome(Verdict.IN_DOUBT, "the worker that made this call ended before its answer")
# So many attempts of a delivery in a row may end with their worker. The first two deaths may have
# been a neighbour's doing, or of somebody who stopped the worker: the last one is met alone.
MOST_DEATHS = 3
DEADLY = (
    f"gave up after {MOST_DEATHS} attempts: each of them ended the worker that made it, by a crash "
    "or by never coming back: see the worker's log, mend what is wrong there, then replay"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What keeps an action from happening twice, and how often it may be tried."""

    effect: Effect
    plan: RetryPlan
    at_least_once: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether a call of unknown outcome may be made again."""
        return self.at_least_once or self.effect is not Effect.AT_MOST_ONCE


@dataclass(frozen=True, slots=True)
class Budget:
    """What a delivery has behind it, this attempt included."""

    tries: int
    age_s: float
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a delivery and its attempt go. `delay_s` is set when the delivery is due again."""

    delivery: DeliveryState
    attempt: AttemptState
    error: str | None = None
    delay_s: float | None = None
    spends_try: bool = True


def on_result(
    outcome: Outcome, policy: RetryPolicy, budget: Budget, *, chance: float
) -> Transition:
    """Return what an outcome makes of a running delivery. `chance` in [0, 1) is the jitter."""
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
    """Return what the death of its worker makes of a running delivery.

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
    """Where an attempt and its delivery are when evidence of the attempt comes in.

    `ref` is the provider's id of it, if known; `accepted_besides`: another attempt of the same
    delivery is known to have been accepted.
    """

    delivery: DeliveryState
    attempt: AttemptState
    ref: str | None = None
    accepted_besides: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """What evidence makes of both; None leaves it. `double`: it happened a second time."""

    delivery: DeliveryState | None = None
    attempt: AttemptState | None = None
    double: bool = False


def on_confirmed(known: Known, seen_ref: str | None) -> Resolution:
    """Return what it means that the provider has what an attempt asked for.

    While the call is under way its own end decides; the evidence is kept beside it until then.
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
        return Resolution(
            attempt=AttemptState.ACCEPTED
        )  # a later attempt is open: its end will tell
    return Resolution(DeliveryState.SUCCEEDED, AttemptState.ACCEPTED)


def on_not_found(known: Known, absences: int, since_last_s: float | None) -> Resolution:
    """Return what it means that a look-up found nothing, for the `absences`-th time in a row.

    `since_last_s` is how long ago the one before was.
    """
    apart = since_last_s is not None and since_last_s >= LOOK_AGAIN_S
    if known.attempt is not AttemptState.UNKNOWN or absences < ABSENCES or not apart:
        return Resolution()
    return Resolution(DeliveryState.RETRYING, AttemptState.NOT_PROCESSED)


def already_confirmed(attempt: AttemptState, *, seen: bool) -> bool:
    """Return whether an earlier attempt under the key of the next one makes that one needless.

    Its acceptance may have been told while a later attempt was under way, or while its own call
    was: whatever those calls' ends made of the delivery, no further one leaves.
    """
    return seen or attempt is AttemptState.ACCEPTED
