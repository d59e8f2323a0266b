"""Test hub that writes to people: leads come in, and their texts or e-mails are claimed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from adapters import Action
from adapters.contract.form_inbound import UNSIGNED
from adapters.sendgrid.outbound import SendgridOutbound
from adapters.stripe.outbound import StripeOutbound
from adapters.twilio.outbound import TwilioOutbound
from hub.core.configuration import Configuration, Destination, MailLimits, Source, TextLimits
from hub.core.delivery.claim import claim
from hub.core.delivery.context import RenderContexts
from hub.core.delivery.prepare import Claimed
from hub.core.inbound.ingest import ingest
from hub.core.inbound.receive import Receiver
from hub.core.inbound.routing import site_context
from hub.core.leads.held import sent_by
from hub.core.leads.send_limits import limits_of
from hub.core.models import Alert
from hub.gateways.database.engine import Database
from tests.core.making import (
    NOW,
    SITE,
    Provider,
    Town,
    deliveries_of,
    end_lease,
    lease_of,
    request,
)
from tests.receiving import prepare

ADAPTERS = {"twilio": TwilioOutbound, "sendgrid": SendgridOutbound, "stripe": StripeOutbound}


@dataclass
class Sending(Town):
    """Test hub with one destination that writes to people, and two sources.

    Leads come from `provider`, whose adapter is `adapter`; `reports` has what a mail provider says.
    What the sources `unsigned` say is signed by nobody: `provider` alone, if it is a form.
    """

    destination: Destination = field(default_factory=lambda: Destination("sms", "twilio", {}))
    adapter: str = "form"
    people: Any = field(default_factory=dict)
    now: Any = NOW
    unsigned: Sequence[str] | None = None

    @property
    def actions(self) -> Any:
        actions: dict[str, Action] = dict(ADAPTERS[self.destination.adapter].actions)
        return actions

    @property
    def configuration(self) -> Configuration:
        return Configuration(
            version="0123456789ab",
            site=SITE,
            sources={
                "provider": Source("provider", self.adapter, {}),
                "reports": Source("reports", "sendgrid", {}),
            },
            destinations={self.destination.slug: self.destination},
            routes={one.name: one for one in self.routes},
            people=self.people,
        )

    @property
    def receiver(self) -> Receiver:
        adapters = defaultdict(lambda: self.provider)
        forms = ["provider"] if self.adapter == "form" else []
        for slug in forms if self.unsigned is None else self.unsigned:
            adapters[slug] = Provider()
            adapters[slug].signed_by = UNSIGNED
        return Receiver(self.configuration.sources, adapters, self.router)

    def claim_all(self, connection: Connection) -> list[Claimed]:
        """Claim until nothing is due, as drains do."""
        slug = self.destination.slug
        end_lease(connection, slug)
        hold, claimed = lease_of(connection, slug), []
        configuration, more = self.configuration, True
        while more:
            found, more = claim(
                connection, hold, slots=100, router=self.router, now=self.now, sandbox=False,
                contexts=RenderContexts(
                    connection, site=site_context(SITE), inbound=self.inbound, now=self.now
                ),
                actions=self.actions,
                caps=limits_of(connection, configuration, self.destination, self.actions,
                               now=self.now),
            )  # fmt: skip
            claimed += found
        return claimed

    def leads(
        self,
        connection: Connection,
        *data: dict[str, Any],
        sender: str | None = None,
        source: str = "provider",
    ) -> None:
        """Ingest leads with these data."""
        self.taken += 1
        made = [{"id": f"e{self.taken}.{n:04}", "data": one} for n, one in enumerate(data)]
        received = request(*made, at=NOW + timedelta(seconds=self.taken))
        prepared = prepare(self, received, source)
        ingest(connection, sent_by(prepared, sender) if sender else prepared)


def texting_hub(route: Any, limits: TextLimits, **changes: Any) -> Sending:
    """Return a hub that texts its leads."""
    return Sending([route], destination=Destination("sms", "twilio", {}, limits=limits), **changes)


def mailing_hub(route: Any, limits: MailLimits, **changes: Any) -> Sending:
    """Return a hub that writes e-mails to its leads."""
    shards = changes.pop("shards", 1)
    mail = Destination("email", "sendgrid", {}, mail_limits=limits, shards=shards)
    return Sending([route], destination=mail, **changes)


def reasons(database: Database) -> list[str]:
    """Return the reasons of the skipped deliveries, each once."""
    with database.read() as connection:
        return sorted({one.error for one in deliveries_of(connection) if one.state == "skipped"})


def open_alerts(database: Database) -> dict[tuple[str, str], str]:
    """Return the message of each open alert, by its kind and subject."""
    columns = (Alert.kind, Alert.subject, Alert.message)
    with database.read() as connection:
        rows = connection.execute(select(*columns).where(Alert.ended_at.is_(None)))
        return {(row.kind, row.subject): row.message for row in rows}
