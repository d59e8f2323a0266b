"""Which routes an event takes, decided in memory from what the event itself says.

An event that says too little takes one route, the hub's own: it is fetched, and matched then.
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

# How the names of the hub's own routes begin; the source follows. No route of the file has it.
FETCH = "hub:fetch:"
# And of those that tell the next person of a lead; the file's route and a number follow.
ESCALATE = "hub:escalate:"


@dataclass(frozen=True, slots=True)
class Match:
    """One route that an event takes. `error`: its condition failed, so the delivery has too."""

    route: Route
    state: str
    error: str | None = None


class Router:
    """The routes of one configuration, ready to be matched by many threads."""

    def __init__(self, configuration: Configuration) -> None:
        self.version = configuration.version
        self._site = site_context(configuration.site)
        self._routes = [route for route in configuration.routes.values() if route.enabled]
        self._by_type: dict[tuple[str, str], Sequence[Route]] = {}
        self._by_name = dict(configuration.routes)
        for route in configuration.routes.values():
            for earlier_name in route.was:
                self._by_name.setdefault(earlier_name, route)
        self._by_name |= {route.name: route for route in _fetching(configuration)}

    def by_name(self, name: str) -> Route | None:
        """Return the route of that name, or that had it before (`was`).

        Who is told next is told as the route itself tells: its condition was met.
        """
        if name.startswith(ESCALATE):
            base = self._by_name.get(name.removeprefix(ESCALATE).rpartition(":")[0])
            return replace(base, name=name, when=None, delay_s=0) if base else None
        return self._by_name.get(name)

    def fetch_route(self, source: str) -> Route | None:
        """Return the route that fetches what a source's webhooks leave out; None without account.

        In the sandbox nothing is fetched: what it answers is nobody's.
        """
        return self._by_name.get(f"{FETCH}{source}")

    def match(
        self, event: Event, *, event_id: UUID, source: str, received_at: datetime
    ) -> list[Match]:
        """Return the routes that the event takes: none for what we did ourselves."""
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
            context = {"event": scope, "data": Scope("data", event.data), "site": self._site}
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
            if len(self._by_type) < 10_000:  # native types are the sender's to invent
                self._by_type[source, event_type] = known
        return known


def _fetching(configuration: Configuration) -> Iterator[Route]:
    for source in configuration.sources.values():
        account = configuration.destinations.get(source.account or "")
        if source.enabled and account and account.enabled and not account.sandbox:
            yield Route(f"{FETCH}{source.slug}", (), account.slug, "fetch", Parameters({}))


def event_context(event: Any, *, event_id: UUID, source: str, received_at: datetime) -> Scope:
    """Return what `event` is in conditions and templates."""
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
    """Return what `site` is in conditions and templates."""
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
