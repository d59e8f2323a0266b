"""Lane state in its holder's memory: slots, rate limiter and circuit breaker.

A lane has one holder at a time, so these are plain variables and not counters in a shared store.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from adapters import (
    AccountRefused,
    AdapterError,
    Attachment,
    Call,
    Effect,
    InvalidParameters,
    NotSent,
    Outcome,
    Verdict,
)
from hub.core.configuration import Destination, Rate
from hub.core.delivery.backoff import block_s
from hub.core.delivery.lane_rows import LEASE_S, Lease
from hub.core.delivery.prepare import Claimed
from hub.core.delivery.record import Finished
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from hub.core.errors import BodyGone
from hub.gateways.destination_client import DestinationClient

# Reads the files of a delivery's event, by the delivery's id.
FileReader = Callable[[UUID], Sequence[Attachment]]

CIRCUIT_OPENS_AFTER = 10
STALE_S = LEASE_S - 5
# Extra time of a call beyond its destination's `timeout`, which bounds only network waits: to get a
# thread, to build the request and to parse the answer, on a busy machine.
MARGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class CircuitState:
    """Circuit opening of a destination: duration, reason and setbacks in a row."""

    for_s: float
    reason: str
    setbacks: int


class RateLimiter:
    """Rate limiter: at most `count` starts in any `per_s` seconds; None is unlimited."""

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._starts: deque[float] = deque()

    def empty_in_s(self, now_s: float) -> float:
        """Return the seconds until no earlier start counts against the rate."""
        if self._rate is None or not self._starts:
            return 0.0
        return max(0.0, self._starts[-1] + self._rate.per_s - now_s)

    def free(self, now_s: float) -> int:
        """Return the number of calls that may start now."""
        if self._rate is None:
            return 1_000_000
        while self._starts and self._starts[0] <= now_s - self._rate.per_s:
            self._starts.popleft()
        return self._rate.count - len(self._starts)

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until one call may start; 0 if it may start now."""
        if self._rate is None or self.free(now_s) > 0:
            return 0.0
        return max(0.0, self._starts[0] + self._rate.per_s - now_s)

    def start(self, now_s: float, count: int) -> None:
        """Count `count` calls that start now."""
        if self._rate is not None:
            self._starts.extend([now_s] * count)


@dataclass(slots=True)
class HeldLane:
    """Lane held by this process. Only the drain's own thread accesses it."""

    lease: Lease
    client: DestinationClient
    slots: int
    limiter: RateLimiter
    maybe_due: bool = True
    in_flight: dict[UUID, float] = field(default_factory=dict)  # start times, by delivery
    finished: list[Finished] = field(default_factory=list)
    setbacks: int = 0
    failures: int = 0
    block: CircuitState | None = None
    is_block_written: bool = False
    recovered: bool = False
    lost: bool = False
    suspects: bool = False
    # No more calls: another worker gets it (`given`), or this one leases it anew with what is known
    # of the circuit by now.
    leaving: bool = False
    given: bool = False

    def __post_init__(self) -> None:
        self.setbacks, self.failures = self.lease.setbacks, self.lease.failures

    @property
    def destination(self) -> Destination:
        return self.client.destination

    @property
    def is_empty(self) -> bool:
        """Whether no call is in flight or unrecorded."""
        return not self.in_flight and not self.finished

    @property
    def has_fetched(self) -> bool:
        """Whether an unrecorded call fetched an event's data: that is then routed and folded."""
        return any(one.outcome.found is not None for one in self.finished)

    @property
    def wants_more(self) -> bool:
        """Whether due work may exist that only slots and rate hold back."""
        return self.maybe_due and self._is_open

    def may_call(self, now_s: float) -> bool:
        """Return whether a call may start as far as circuit, lease and rate allow; ignore slots."""
        return self._is_open and self.limiter.free(now_s) > 0

    @property
    def _is_open(self) -> bool:
        # After a setback, shard 0 alone makes calls: one probes the destination.
        probed_elsewhere = self.setbacks > 0 and self.lease.shard > 0
        return not (self.block or self.lost or self.leaving or probed_elsewhere)

    def room(self, now_s: float) -> int:
        """Return the number of calls that may start now; after a setback, one as a probe."""
        if not self.wants_more:
            return 0
        slots = 1 if self.setbacks else self.slots
        return max(0, min(slots - len(self.in_flight), self.limiter.free(now_s)))

    def slow(self, now_s: float, threshold_s: float) -> bool:
        """Return whether a call has been in flight for longer than `threshold_s`."""
        return any(now_s - started_s > threshold_s for started_s in self.in_flight.values())

    def longest_left_s(self, now_s: float) -> float:
        """Return the seconds until every call in flight has ended or counts as stuck."""
        return max((self._left_s(started, now_s) for started in self.in_flight.values()), default=0)

    def stuck(self, now_s: float) -> list[UUID]:
        """Return the deliveries whose calls have exceeded the longest possible duration."""
        return [one for one, started in self.in_flight.items() if self._left_s(started, now_s) <= 0]

    def _left_s(self, started_s: float, now_s: float) -> float:
        return started_s + STALE_S + self.destination.timeout_s + MARGIN_S - now_s

    def policy(self, action: str, at_least_once: bool) -> RetryPolicy:
        """Return the retry policy of an action: effect class, retry plan and at-least-once flag."""
        known = self.client.adapter.actions.get(action)
        effect = known.effect if known else Effect.AT_MOST_ONCE
        return RetryPolicy(effect, self.destination.retry, at_least_once)

    def finish(self, claimed: Claimed, outcome: Outcome, request: Any) -> None:
        """Queue the outcome of a call for recording, and update the circuit breaker with it."""
        self.in_flight.pop(claimed.delivery_id, None)
        probing = self.setbacks > 0
        self.observe(outcome)
        age_s = (datetime.now(UTC) - claimed.since).total_seconds()
        policy = self.policy(claimed.action, claimed.route.at_least_once)
        transition = on_result(
            outcome,
            policy,
            Budget(claimed.tries, age_s, probing),
            chance=random.random(),  # noqa: S311 - jitter
        )
        self.finished.append(
            Finished(
                claimed.delivery_id,
                claimed.attempt_id,
                self.lease.token,
                outcome,
                transition,
                request,
                once=policy.effect is Effect.AT_MOST_ONCE,
            )
        )

    def observe(self, outcome: Outcome) -> None:
        refused_here = outcome.verdict is Verdict.PERMANENT and outcome.status is None
        if refused_here or not outcome.called:
            return  # nothing was sent: no evidence about the destination
        if outcome.verdict in (Verdict.SUCCEEDED, Verdict.PERMANENT):
            self.failures = 0
            self.recovered |= self.setbacks > 0
            self.setbacks = 0
            return
        if self.block:
            return
        self.failures += 1
        if outcome.verdict is Verdict.BLOCKED:
            self._rest(f"refused us: {outcome.message}")
        elif outcome.retry_after_s is not None:
            self.block = CircuitState(
                min(max(outcome.retry_after_s, 1), 6 * 3600), f"asked to wait: {outcome.message}", 0
            )
        elif self.setbacks or self.failures >= CIRCUIT_OPENS_AFTER:
            self._rest(f"does not answer: {outcome.message}")

    def _rest(self, reason: str) -> None:
        setbacks = self.setbacks + 1
        self.block = CircuitState(block_s(setbacks), reason, setbacks)


def perform(
    client: DestinationClient, claimed: Claimed, claimed_at_s: float, read_files: FileReader
) -> tuple[Outcome, Any]:
    """Make the call and return its outcome, whatever happens. Runs in a thread of the pool.

    If the process was suspended between claim and call, it may have lost its lane: no call is made.
    `read_files` is called only if the parameters name files of the event.
    """
    files: Sequence[Attachment] = ()
    action = client.adapter.actions.get(claimed.action)
    if action and action.attachments and claimed.parameters.get(action.attachments):
        try:
            files = read_files(claimed.delivery_id)
        except BodyGone as error:
            gone = f"not sent: its attachments are gone, {error}"
            return Outcome(Verdict.PERMANENT, gone, called=False), None
        except Exception as error:  # noqa: BLE001 - the last resort: every outcome is recorded
            said = f"the event's files could not be read ({type(error).__name__}): not sent"
            return Outcome(Verdict.NOT_PROCESSED, said, called=False), None
    if time.monotonic() - claimed_at_s > STALE_S:
        held_up = "this worker was held up before the call"
        return Outcome(Verdict.NOT_PROCESSED, held_up, called=False), None
    call = Call(
        action=claimed.action,
        parameters=claimed.parameters,
        key=claimed.key,
        attempt_id=f"{claimed.delivery_id}.{claimed.n}",
        now=datetime.now(UTC),
        attachments=files,
    )
    try:
        return client.perform(call)
    except InvalidParameters as error:
        return Outcome(Verdict.PERMANENT, f"not sent: {error}"), None
    except AccountRefused as error:
        return Outcome(Verdict.BLOCKED, str(error)), None
    except NotSent as error:
        return Outcome(Verdict.NOT_PROCESSED, str(error)), None
    except AdapterError as error:
        return Outcome(Verdict.IN_DOUBT, str(error)), None
    except Exception as error:  # noqa: BLE001 - the last resort: every outcome is recorded
        return Outcome(Verdict.IN_DOUBT, f"the adapter failed: {type(error).__name__}"), None
