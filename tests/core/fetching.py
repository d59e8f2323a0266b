"""Test provider with incomplete events and a list, and the account that both are read with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from marshmallow import Schema
from sqlalchemy import Connection

from adapters import Action, Effect, Event, InboundRequest, Outcome, Unreadable, Verdict
from hub.core.configuration import Configuration, Destination, RetryPlan, Source
from hub.core.delivery.claim import claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.lanes import Lease
from hub.core.delivery.prepare import Claimed
from hub.core.delivery.record import Finished
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from hub.core.events.enrichment import record_and_complete
from hub.core.inbound.routing import site_context
from hub.gateways.database.engine import Database
from tests.core.making import NOW, SITE, Provider, Town, lease_of

FETCHING = "hub:fetch:provider"
# Fields that make an event of `Provider` incomplete, so that it is fetched.
THIN = {"incomplete": True, "fetch": {"id": "501"}}
NATURAL = RetryPolicy(Effect.NATURAL, RetryPlan())
ACTIONS = {"fetch": Action(Effect.NATURAL, Schema, internal=True)}


class ThinProvider(Provider):
    """Inbound adapter whose events may carry `fetch` and `echo`; completed from fetched data."""

    account: ClassVar[str | None] = "crm"
    lists: ClassVar[bool] = True

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        events = super().parse(request)
        return [
            replace(event, fetch=native.get("fetch"), echo=native.get("echo", False))
            for event in events
            if isinstance(native := event.data["native"], dict)
        ]

    def complete(self, event: Event, found: Mapping[str, Any]) -> Event:
        if found.get("id") != (event.fetch or {}).get("id"):
            raise Unreadable("id is not the one that was asked for")
        data = {**found["data"], "native": {"told": dict(found)}}
        return replace(
            event, type=found.get("type", event.type), data=data, incomplete=False, fetch=None
        )


@dataclass
class FetchingTown(Town):
    """Test hub with an account for fetches.

    `account` is None while the account is not in the file; with `sandbox` it has no credentials.
    """

    provider: Provider = field(default_factory=ThinProvider)
    account: str | None = "crm"
    sandbox: bool = False
    enabled: bool = True
    store: Database | None = None
    public_url: str | None = None

    @property
    def source(self) -> Source:
        return Source("provider", "provider", {}, account=self.account)

    @property
    def configuration(self) -> Configuration:
        crm = Destination("crm", "http", {}, sandbox=self.sandbox, enabled=self.enabled)
        return Configuration(
            version="0123456789ab",
            site=SITE,
            sources={"provider": self.source},
            destinations={"ops": Destination("ops", "http", {}), "crm": crm},
            routes={one.name: one for one in self.routes},
        )

    def claim_fetch(self, connection: Connection) -> tuple[Lease, list[Claimed]]:
        """Acquire the account's lane and claim its due deliveries."""
        lease = lease_of(connection, "crm")
        contexts = RenderContexts(
            connection, site=site_context(SITE), inbound=self.inbound, now=NOW
        )
        claimed, _ = claim(
            connection, lease, slots=8, router=self.router, contexts=contexts, now=NOW,
            sandbox=False, actions=ACTIONS,
        )  # fmt: skip
        return lease, claimed

    def fetch(self, connection: Connection, found: Mapping[str, Any] | None) -> int:
        """Answer the one due fetch with `found`; return the number of deliveries created."""
        lease, [claimed] = self.claim_fetch(connection)
        return self.end(connection, lease, claimed, found)

    def end(
        self,
        connection: Connection,
        lease: Lease,
        claimed: Claimed,
        found: Mapping[str, Any] | None,
    ) -> int:
        """Record the result of a fetch; None means that it was refused for good."""
        verdict = Verdict.PERMANENT if found is None else Verdict.SUCCEEDED
        outcome = Outcome(verdict, status=200, found=found)
        transition = on_result(outcome, NATURAL, Budget(tries=1, age_s=0), chance=0.5)
        done = Finished(claimed.delivery_id, claimed.attempt_id, lease.token, outcome, transition)
        return record_and_complete(connection, self, [done], now=NOW)[1]  # type: ignore[arg-type]
