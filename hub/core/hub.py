"""Context of one process: the hub's configuration, store, wake-ups and adapters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters import Effect, Inbound
from adapters.registry import inbound, outbound
from hub.core.configuration import Configuration
from hub.core.inbound.body_encoder import BodyEncoder
from hub.core.inbound.receive import Receiver
from hub.core.inbound.routing import Router
from hub.core.ports import Disk, DiskElsewhere, Store, Waker


@dataclass(frozen=True, slots=True)
class Hub:
    """Context that web, worker, clock and command line share; one per process.

    `public_url` is the origin under which providers reach the hub. `allow_private`: calls may go
    to loopback, private and link-local addresses. `disk`: the one that the hub itself writes to.
    """

    configuration: Configuration
    store: Store
    waker: Waker
    public_url: str | None
    allow_private: bool = False
    disk: Disk = field(default_factory=DiskElsewhere)
    bodies: BodyEncoder = field(default_factory=BodyEncoder)
    router: Router = field(init=False)
    receiver: Receiver = field(init=False)
    _inbound: Mapping[str, Inbound] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "router", Router(self.configuration))
        adapters = {
            source.slug: inbound(source.adapter)(source.settings)
            for source in self.configuration.sources.values()
            if source.enabled
        }
        object.__setattr__(self, "_inbound", adapters)
        receiver = Receiver(self.configuration.sources, adapters, self.router, self.bodies)
        object.__setattr__(self, "receiver", receiver)

    def effect(self, destination: str, action: str) -> Effect:
        """Return the effect class of an action; an unknown one counts as at most once."""
        known = self.configuration.destinations.get(destination)
        found = outbound(known.adapter).actions.get(action) if known else None
        return found.effect if found else Effect.AT_MOST_ONCE

    def supports_lookup(self, destination: str, action: str) -> bool:
        """Return whether an unknown outcome of an action can be looked up at the provider.

        False for a destination that is unknown, disabled or in the sandbox.
        """
        known = self.configuration.destinations.get(destination)
        if known is None or not known.enabled or known.sandbox:
            return False
        found = outbound(known.adapter).actions.get(action)
        return found is not None and found.supports_lookup

    def matched_by_content(self, destination: str, action: str) -> bool:
        """Return whether a look-up recognises a call by its content, not by the hub's token."""
        known = self.configuration.destinations.get(destination)
        found = outbound(known.adapter).actions.get(action) if known else None
        return found is not None and found.matched_by_content

    def ask_after_s(self, destination: str, action: str) -> float:
        """Return the seconds to wait for evidence of an action before a person is asked."""
        known = self.configuration.destinations.get(destination)
        found = outbound(known.adapter).actions.get(action) if known else None
        return found.ask_after_s if found else 900.0

    def inbound(self, source: str) -> Inbound:
        """Return the inbound adapter of an enabled source.

        Raises:
            LookupError: there is no such source, or it is disabled.
        """
        return self._inbound[source]
