"""Test hub whose answers get lost: its one delivery is claimed, called, and left in doubt."""

from dataclasses import dataclass
from typing import Any

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import Configuration, Destination, RetryPlan, Source
from hub.core.delivery.record import Finished, record
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from tests.core.making import SITE, Town, end_lease, lease_of, make_due

LOST = Outcome(Verdict.IN_DOUBT, "no answer")
ONCE = RetryPolicy(Effect.AT_MOST_ONCE, RetryPlan())


@dataclass
class DoubtfulTown(Town):
    """Test hub with a texting provider that calls back, a foreign source, and look-ups.

    `can_look` tells whether outcomes can be looked up, `waits_s` how long until a person is asked.
    """

    can_look: bool = True
    waits_s: float = 900.0

    @property
    def configuration(self) -> Configuration:
        return Configuration(
            version="0123456789ab",
            site=SITE,
            sources={
                "provider": Source("provider", "http", {}),
                "stranger": Source("stranger", "hubspot", {}),
            },
            destinations={name: Destination(name, "http", {}) for name in self.destinations},
            routes={one.name: one for one in self.routes},
        )

    def effect(self, destination: str, action: str) -> Effect:
        return Effect.AT_MOST_ONCE

    def supports_lookup(self, destination: str, action: str) -> bool:
        return self.can_look and destination != "slow"

    def ask_after_s(self, destination: str, action: str) -> float:
        return self.waits_s


def begin(connection, town) -> tuple[Any, Any]:
    """Take over the lane and claim the one delivery."""
    end_lease(connection)
    make_due(connection)
    lease = lease_of(connection)
    [claimed] = town.claim(connection, lease)
    return lease, claimed


def end(connection, lease, claimed, outcome, protection=ONCE) -> int:
    transition = on_result(outcome, protection, Budget(claimed.tries, 0), chance=0.0)
    return record(connection, [
        Finished(claimed.delivery_id, claimed.attempt_id, lease.token, outcome, transition,
                 once=protection is ONCE)
    ])  # fmt: skip


def doubt_it(connection, town) -> None:
    end(connection, *begin(connection, town), LOST)
