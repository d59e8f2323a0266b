"""Routing: selects the routes of an event in memory, from the event alone.

An incomplete event takes one route, the hub's own: it is fetched first, and matched then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from adapters import Event
from adapters.contract.fields import rfc3339
from hub.core.configuration import Configuration, Route, Site
from hub.core.errors import ExpressionError
from hub.core.expressions.templates import Parameters, Scope
from hub.core.models import DeliveryState

# Prefix of the hub's own fetch routes; the source follows. No route of hub.yaml has it.
FETCH = "hub:fetch:"
# Prefix of the hub's own escalation routes; the route of hub.yaml and a number follow.
ESCALATE = "hub:escalate:"


@dataclass(frozen=True, slots=True)
class Match:
    """Route that matches an event. `error`: its condition failed, so the delivery fails too."""

    route: Route
    state: str
    error: str | None = None


class Router:
    """Routes of one configuration, prepared for matching by many threads."""

    def __init__(self, configuration: Configuration) -> None:
        self.version = configuration.version
        self.site = site_context(configuration.site)
        self._routes = [route for route in configuration.routes.values() if route.enabled]
        self._by_type: dict[tuple[str, str], Sequence[Route]] = {}
        self._by_name = dict(configuration.routes)
        for route in configuration.routes.values():
            for earlier_name in route.was:
                self._by_name.setdefault(earlier_name, route)
        self._by_name |= {route.name: route for route in _fetching(configuration)}

    def by_name(self, name: str) -> Route | None:
        """Return the route with this name, now or earlier (`was`); None if there is none.

        An escalation route is a copy of its configured route without condition and delay: the
        condition was met before.
        """
        if name.startswith(ESCALATE):
            base = self._by_name.get(name.removeprefix(ESCALATE).rpartition(":")[0])
            return replace(base, name=name, when=None, delay_s=0) if base else None
        return self._by_name.get(name)

    def fetch_route(self, source: str) -> Route | None:
        """Return the route that fetches the data that a source's webhooks leave out.

        None without an enabled account, and in the sandbox, whose answers are no real data.
        """
        return self._by_name.get(f"{FETCH}{source}")

    def match(
        self, event: Event, *, event_id: UUID, source: str, received_at: datetime
    ) -> list[Match]:
        """Return the matching routes; events caused by the hub itself (`echo`) match none."""
        if event.incomplete:
            fetching = self.fetch_route(source) if event.fetch else None
            return [Match(fetching, DeliveryState.PENDING)] if fetching else []
        if event.echo:
            return []
        candidates = self._candidates(source, event.type)
        if not candidates:
            return []
        context: dict[str, Any] = {}
        if any(route.when for route in candidates):
            scope = event_context(event, event_id=event_id, source=source, received_at=received_at)
            context = {"event": scope, "data": Scope("data", event.data), "site": self.site}
        matches = (_match(route, event.live, context) for route in candidates)
        return [match for match in matches if match]

    def _candidates(self, source: str, event_type: str) -> Sequence[Route]:
        known = self._by_type.get((source, event_type))
        if known is None:
            known = [
                route
                for route in self._routes
                if (not route.sources or source in route.sources)
                and any(fnmatchcase(event_type, pattern) for pattern in route.on)
            ]
            # The cache is bounded, because a sender may invent any number of native types.
            if len(self._by_type) < 10_000:
                self._by_type[source, event_type] = known
        return known


def _fetching(configuration: Configuration) -> Iterator[Route]:
    for source in configuration.sources.values():
        account = configuration.destinations.get(source.account or "")
        if source.enabled and account and account.enabled and not account.sandbox:
            yield Route(f"{FETCH}{source.slug}", (), account.slug, "fetch", Parameters({}))


def event_context(event: Any, *, event_id: UUID, source: str, received_at: datetime) -> Scope:
    """Return the scope `event` of conditions and templates."""
    return Scope(
        "event",
        {
            "id": str(event_id),
            "type": event.type,
            "native_type": event.native_type,
            "source": source,
            "external_id": event.external_id,
            "occurred_at": rfc3339(event.occurred_at),
            "received_at": rfc3339(received_at),
            "live": event.live,
            **({"caused_by": cause} if (cause := (event.data or {}).get("delivery_id")) else {}),
        },
    )


def site_context(site: Site) -> Scope:
    """Return the scope `site` of conditions and templates."""
    return Scope("site", {"name": site.name, "country": site.country, "timezone": site.timezone})


def _match(route: Route, live: bool, context: Mapping[str, Any]) -> Match | None:
    if route.live != "any" and live != (route.live == "live"):
        return None
    state = DeliveryState.WAITING if route.delay_s else DeliveryState.PENDING
    if route.when is None or route.when.needs_more_than_event:
        return Match(route, state)
    try:
        return Match(route, state) if route.when.holds(context) else None
    except ExpressionError as error:
        return Match(route, DeliveryState.FAILED, f"`when` failed: {error}")
