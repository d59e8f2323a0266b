"""World model in memory: one delivery as the SQL moves it, two workers, a provider, a clock.

The decisions are the hub's own pure functions; only the tables and the far end are modelled.
"""

from dataclasses import dataclass, field

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import RetryPlan
from hub.core.delivery.reconcile import SETTLE_S
from hub.core.delivery.settle import _ATTEMPT_STATES, SettleAnswer
from hub.core.delivery.transitions import (
    DEADLY,
    LOOK_AGAIN_S,
    MOST_DEATHS,
    WORKER_DIED,
    Budget,
    Known,
    RetryPolicy,
    Transition,
    already_confirmed,
    on_confirmed,
    on_not_found,
    on_result,
    on_worker_death,
)
from hub.core.models import DUE_STATES, AttemptState, DeliveryState
from hub.core.replays.replay import Plan, _decide

# At most from claim to call; for the call; in flight; and until the message is listed.
HELD_UP_S, CALL_S, FLIGHT_S, LAG_S = 10.0, 20.0, 60.0, 20.0
KEY_LIFE_S, FORGOTTEN_S = 23 * 3600.0, 24 * 3600.0
OPEN = (AttemptState.CALLING, AttemptState.UNKNOWN)
PATIENT = RetryPlan(attempts=50, max_age_s=1e12)


@dataclass
class Message:
    """Provider's message, arrived or in flight; `token` is the attempt's, `key` the delivery's."""

    ref: str
    token: int
    key: int
    at_s: float


@dataclass
class Tried:
    """Row of an attempt, and the part of its call that only the worker knows."""

    n: int
    key: int
    lane_token: int
    started_s: float
    state: AttemptState = AttemptState.CALLING
    ref: str | None = None
    seen: str | None = None
    closed_by: str | None = None
    absences: int = 0
    looked_s: float | None = None
    claimed_s: float = 0.0
    sent: bool = False
    outcome: Outcome | None = None
    alive: bool = True
    died: bool = False


@dataclass
class World:
    """State of the model.

    `allowed` is the number of effects that may exist: one, plus one for each time a person asked.
    """

    protection: RetryPolicy
    now_s: float = 0.0
    skew_s: float = 0.0
    state: DeliveryState = DeliveryState.PENDING
    key_n: int = 0
    tries: int = 0
    lane_token: int = 0
    running_token: int = 0
    error: str | None = None
    ref: str | None = None
    double: bool = False
    allowed: int = 1
    tried: list[Tried] = field(default_factory=list)
    effects: list[Message] = field(default_factory=list)
    flying: list[Message] = field(default_factory=list)
    refs: int = 0

    @property
    def wall_s(self) -> float:
        """Return the time of the hub's clocks, in seconds."""
        return self.now_s + self.skew_s

    @property
    def once(self) -> bool:
        return self.protection.effect is Effect.AT_MOST_ONCE

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        for message in [one for one in self.flying if one.at_s <= self.now_s]:
            self.flying.remove(message)
            self._arrive(message)

    def _arrive(self, message: Message) -> None:
        """Add the effect, unless a provider with keys still remembers this one."""
        known = [one for one in self.effects if one.key == message.key]
        if not self.once and known and message.at_s < known[0].at_s + FORGOTTEN_S:
            return
        self.effects.append(message)

    def take(self) -> None:
        """Acquire the lane for another worker, and settle the attempt of the last one."""
        self.lane_token += 1
        if self.state is DeliveryState.RUNNING and self.running_token < self.lane_token:
            suspected = self._have_died(MOST_DEATHS - 1, before=1)
            self._apply(self.tried[-1], WORKER_DIED, on_worker_death(
                self.protection, Budget(self.tries, 0), suspected=suspected, chance=0.5
            ))  # fmt: skip

    def _have_died(self, last: int, *, before: int = 0) -> bool:
        """Return whether the last attempts all ended with their worker, since a person's answer."""
        recent = self.tried[: len(self.tried) - before][-last:]
        return self.tries >= last + before and all(one.died for one in recent)

    def claim(self) -> None:
        if self.state not in DUE_STATES:
            return
        mine = [one for one in self.tried if one.key == self.key_n]
        last_is_mine = bool(mine) and mine[-1] is self.tried[-1]
        arrived = [one for one in mine if already_confirmed(one.state, seen=one.seen is not None)]
        if last_is_mine and arrived:
            first = arrived[0]
            if first.state is not AttemptState.ACCEPTED:
                first.state, first.closed_by = AttemptState.ACCEPTED, "webhook"
            self._succeed(first.ref or first.seen)
            return
        if self._have_died(MOST_DEATHS):
            self.state, self.error = DeliveryState.FAILED, DEADLY
            return
        doubtful = [one for one in mine if one.state is AttemptState.IN_DOUBT]
        keyed = self.protection.effect is Effect.KEYED
        if keyed and doubtful and mine[0].started_s <= self.wall_s - KEY_LIFE_S:
            doubtful[-1].state, doubtful[-1].absences = AttemptState.UNKNOWN, 0
            doubtful[-1].looked_s = doubtful[-1].closed_by = None
            self.state = DeliveryState.UNKNOWN
            return
        self.tries += 1
        self.state, self.running_token = DeliveryState.RUNNING, self.lane_token
        self.tried.append(Tried(
            len(self.tried) + 1, self.key_n, self.lane_token, self.wall_s, claimed_s=self.now_s,
        ))  # fmt: skip

    def send(self, one: Tried, how: int) -> None:
        """Make the call; `how` chooses its fate on the way and at the provider."""
        if one.sent or not one.alive:
            return
        one.sent = True
        if self.now_s - one.claimed_s > HELD_UP_S:
            one.outcome = Outcome(Verdict.NOT_PROCESSED, "held up")
            return
        self.refs += 1
        message = Message(f"SM{self.refs}", one.n, one.key, self.now_s)
        lost = Outcome(Verdict.IN_DOUBT, "no answer")
        if how in (0, 1):  # accepted; the answer arrives, or is lost
            self._arrive(message)
            taken = Outcome(Verdict.SUCCEEDED, provider_ref=message.ref)
            one.outcome = lost if how else taken
        elif how == 2:  # in flight long after the caller's timeout
            message.at_s += FLIGHT_S
            self.flying.append(message)
            one.outcome = lost
        else:
            verdict = [Verdict.IN_DOUBT, Verdict.NOT_PROCESSED, Verdict.PERMANENT,
                       Verdict.BLOCKED][how - 3]  # fmt: skip
            one.outcome = Outcome(verdict, "it never had an effect")

    def record(self, one: Tried) -> None:
        """Record the call's outcome, as current holder or as a late worker."""
        if one.outcome is None or not one.alive:
            return
        one.alive = False
        outcome = one.outcome
        step = on_result(outcome, self.protection, Budget(self.tries, 0), chance=0.5)
        ours = self.state is DeliveryState.RUNNING and self.running_token == one.lane_token
        if ours and one.state is AttemptState.CALLING:
            self._apply(one, outcome, step)
        elif outcome.verdict is not Verdict.IN_DOUBT:
            if one.state is AttemptState.UNKNOWN:
                self._apply(one, outcome, step)
            elif (
                self.once
                and outcome.verdict is Verdict.SUCCEEDED
                and one.state is not AttemptState.ACCEPTED
            ):
                self.accepted(one, outcome.provider_ref, "answer")
        if self.once and outcome.verdict is Verdict.SUCCEEDED:
            self._tell_doubles()

    def _tell_doubles(self) -> None:
        keys = [one.key for one in self.tried if one.state is AttemptState.ACCEPTED]
        self.double |= len(keys) > len(set(keys))

    def _apply(self, one: Tried, outcome: Outcome, step: Transition) -> None:
        one.state, one.ref = step.attempt, outcome.provider_ref
        one.died = outcome is WORKER_DIED
        self.state, self.error, self.ref = step.delivery, step.error, outcome.provider_ref

    def accepted(self, one: Tried, ref: str | None, by: str) -> None:
        besides = any(
            each is not one and each.state is AttemptState.ACCEPTED for each in self.tried
        )
        standing = Known(self.state, one.state, one.ref or one.seen, accepted_besides=besides)
        turn = on_confirmed(standing, ref)
        one.seen = one.seen or ref or ""
        if turn.attempt:
            one.state, one.closed_by, one.ref = turn.attempt, by, ref or one.ref
        if turn.delivery:
            self._succeed(ref or self.ref)
        self.double |= turn.double

    def _succeed(self, ref: str | None) -> None:
        self.state, self.ref, self.error = DeliveryState.SUCCEEDED, ref, None

    def webhook(self, message: Message) -> None:
        """Apply the provider's callback; only messages without a key name their attempt."""
        if self.once:
            self.accepted(self.tried[message.token - 1], message.ref, "webhook")

    def close_the_seen(self) -> None:
        for one in self.tried:
            if one.state is AttemptState.UNKNOWN and one.seen is not None:
                self.accepted(one, one.seen or None, "webhook")

    def look_up(self, *, can_tell: bool = True) -> None:
        open_ = [one for one in self.tried if one.state is AttemptState.UNKNOWN]
        if self.state is not DeliveryState.UNKNOWN or not open_:
            return
        [one] = open_
        again_s = None if one.looked_s is None else self.wall_s - one.looked_s
        if one.started_s > self.wall_s - SETTLE_S or (
            again_s is not None and again_s < LOOK_AGAIN_S
        ):
            return
        found = [message for message in self._listed(one) if can_tell]
        if len(found) == 1 and not self._is_anothers(one, found[0].ref):
            self.accepted(one, found[0].ref, "lookup")
            return
        absent = can_tell and not found
        one.absences = one.absences + 1 if absent else 0
        turn = on_not_found(Known(self.state, one.state), one.absences, again_s)
        one.looked_s = self.wall_s
        if absent and turn.delivery and turn.attempt:
            mine = [m for m in self.effects + self.flying if m.token == one.n]
            assert not mine or not self.once, "I8: it is there, or on its way"
            one.state, one.closed_by, self.state = turn.attempt, "lookup", turn.delivery
            self.key_n += self.protection.effect is Effect.KEYED

    def _listed(self, one: Tried) -> list[Message]:
        """Return the listed messages: without a key all since the call, with one only its own."""
        shown = [message for message in self.effects if message.at_s + LAG_S <= self.now_s]
        if self.once:
            return [message for message in shown if message.at_s >= one.started_s - 5]
        return [message for message in shown if message.key == one.key][:1]

    def _is_anothers(self, one: Tried, ref: str) -> bool:
        return any(each is not one and ref in (each.ref, each.seen) for each in self.tried)

    def settle(self, answer: SettleAnswer) -> None:
        open_ = [one for one in self.tried if one.state is AttemptState.UNKNOWN]
        if self.state is not DeliveryState.UNKNOWN or not open_:
            return
        open_[0].state, open_[0].closed_by = _ATTEMPT_STATES[answer], "person"
        if answer is SettleAnswer.AGAIN:
            self.allowed += 1
            self.state, self.tries = DeliveryState.RETRYING, 0
        elif answer is SettleAnswer.DROP:
            self.state, self.error = DeliveryState.FAILED, "dropped"
        else:
            self._succeed(self.ref)
            self._tell_doubles()

    def replay(self, *, again: bool) -> Plan:
        last = self.tried[-1].key if self.tried else None
        doubt = any(
            one.state in (AttemptState.IN_DOUBT, AttemptState.ACCEPTED) and one.key == last
            for one in self.tried
        )
        plan, _ = _decide(self.state, doubt=doubt, keyless=doubt and self.once, again=again)
        if plan is Plan.REFUSED or plan is Plan.NOW:
            return plan
        self.allowed += plan is Plan.AGAIN
        self.state, self.tries, self.error = DeliveryState.PENDING, 0, None
        if plan is not Plan.REPEAT:
            self.key_n, self.ref = self.key_n + 1, None
        return plan
