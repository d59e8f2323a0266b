"""Test hub with people: leads come in, owners are notified by `ops.post`, time can be moved."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from adapters.http.outbound import HttpOutbound
from hub.core.configuration import Configuration, Source
from hub.core.delivery.claim import claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.lanes import Lease, acquire, ensure
from hub.core.delivery.prepare import Claimed
from hub.core.inbound.routing import site_context
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.escalation import escalate
from hub.core.leads.owner_context import OwnerContext
from hub.core.leads.people import Person
from hub.core.models import (
    Attempt,
    Delivery,
    LeadNotification,
    StoredEvent,
    database_later,
    database_now,
)
from hub.gateways.database.engine import Database
from tests.core.making import NOW, SITE, Town, route, rows

PUBLIC = "https://hub.example"
DANA = Person("dana", "Dana", email="dana@acme.example", phone="+12025550101")
LEE = Person("lee", "Lee", email="lee@acme.example", phone="+12025550102")
SAM = Person("sam", "Sam", email="sam@acme.example", phone="+12025550103")
ATTEMPTS = {
    "succeeded": "accepted",
    "failed": "rejected",
    "skipped": "not_processed",
    "unknown": "unknown",
}
TELL = {"body": {"to": "{{ owner.phone }}", "lead": "{{ data.name }}"}}


def tell(name: str = "tell", **changes: Any) -> Any:
    """Return a route that notifies the owner, and the next person ten minutes later."""
    return route(name, **{"with_": TELL, "escalate_after_s": 600.0} | changes)


@dataclass
class Office(Town):
    """Test hub with Dana, Lee and Sam; leads go to the first of them by default."""

    people: Mapping[str, Person] = field(
        default_factory=lambda: {one.slug: one for one in (DANA, LEE, SAM)}
    )
    rules: tuple[Rule, ...] = (Rule(to=("dana", "lee")), Rule(to=("sam",)))
    source_assign: str | None = "sales"
    public_url: str | None = PUBLIC
    timezone: str = "America/New_York"

    @property
    def configuration(self) -> Configuration:
        source = Source("provider", "provider", {}, assign=self.source_assign)
        return replace(
            super().configuration,
            site=replace(SITE, timezone=self.timezone),
            sources={"provider": source},
            people=self.people,
            assign={"sales": self.rules, "turns": (Rule(to=("lee", "dana"), pick="least_recent"),)},
        )

    def claim(
        self, connection: Connection, hold: Lease, *, slots: int = 8, sandbox: bool = False
    ) -> list[Claimed]:
        configuration = self.configuration
        contexts = RenderContexts(
            connection,
            site=site_context(configuration.site),
            inbound=self.inbound,
            now=NOW,
            owners=OwnerContext(connection, configuration, public_url=self.public_url, now=NOW),
        )
        return claim(
            connection, hold, slots=slots, router=self.router, contexts=contexts, now=NOW,
            sandbox=sandbox, actions=HttpOutbound.actions,
        )[0]  # fmt: skip


@dataclass
class Desk:
    """Office over a database, with shortcuts for its operations."""

    office: Office
    database: Database

    def lead(self, id: str = "e1", **data: Any) -> UUID:
        """Ingest a lead; return its event's id."""
        with self.database.write() as connection:
            self.office.take_in(connection, {"id": id, "data": {"name": "Jane"} | data})
            found = select(StoredEvent.id).where(StoredEvent.external_id == id)
            return connection.execute(found).scalar_one()

    def work(self, destination: str = "ops") -> list[Any]:
        """Claim all due deliveries; return the bodies that would be sent."""
        with self.database.write() as connection:
            ensure(connection, [destination])
            holds = acquire(connection, "me", [destination], most=1)
            claimed = [one for hold in holds for one in self.office.claim(connection, hold)]
            connection.exec_driver_sql("UPDATE lanes SET lease_until = NULL, holder = NULL")
        return [one.parameters["body"] for one in claimed]

    def end(self, state: str = "succeeded", *, minutes_ago: float = 0, **values: Any) -> None:
        """End the running deliveries in a state."""
        with self.database.write() as connection:
            connection.execute(
                update(Attempt).where(Attempt.state == "calling").values(state=ATTEMPTS[state])
            )
            connection.execute(
                update(Delivery)
                .where(Delivery.state == "running")
                .values(state=state, finished_at=database_later(-60 * minutes_ago), **values)
            )

    def tick(self) -> int:
        """Run the clock's escalation once."""
        with self.database.write() as connection:
            return escalate(connection, self.office, most=100, now=NOW)

    def pass_time(self) -> None:
        """Make all waiting escalations due."""
        with self.database.write() as connection:
            connection.execute(
                update(LeadNotification)
                .where(LeadNotification.due_at.is_not(None))
                .values(due_at=database_now())
            )

    def rows(self, table: Any, *order: Any) -> list[Any]:
        with self.database.read() as connection:
            return rows(connection, table, *order)

    def told(self) -> list[str]:
        """Return the notified people in order."""
        return [row.person for row in self.rows(LeadNotification, LeadNotification.n)]
