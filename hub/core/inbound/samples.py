"""Samples: a webhook as its provider would send it, and whom it would reach."""

import secrets
from datetime import datetime

from adapters import InboundRequest
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.ids import new_id


def address_of(hub: Hub, source: str) -> str:
    """Return the path that a source is posted to, without a secret that may follow.

    Raises:
        NotFound: there is no such source, or it is off.
    """
    configured = hub.configuration.sources.get(source)
    if configured is None or not configured.enabled:
        known = ", ".join(hub.configuration.sources) or "none"
        raise NotFound(f"there is no source {source}; hub.yaml has {known}")
    return f"/{'forms' if hub.inbound(source).takes_forms else 'webhooks'}/{source}"


def make_sample(
    hub: Hub, source: str, native_type: str | None, *, origin: str, live: bool, now: datetime
) -> InboundRequest:
    """Return a signed sample as the provider would post it; of the first type unless told.

    `origin` is where it is posted when nobody has said under which address the hub is public.

    Raises:
        NotFound: there is no such source, or no sample of that type.
    """
    path, adapter = address_of(hub, source), hub.inbound(source)
    public = f"{hub.public_url or origin}{path}"
    wanted = native_type or next(iter(adapter.sample_types()), "")
    try:
        sample = adapter.sample(wanted, secrets.token_hex(8), now, live=live, url=public)
    except LookupError as error:
        raise NotFound(str(error.args[0])) from error
    headers = {name.lower(): value for name, value in sample.headers.items()}
    return InboundRequest("POST", public, headers, sample.body, now, sample.path_secret)


def live_destinations(hub: Hub, source: str, sent: InboundRequest) -> list[str]:
    """Return what a request would really reach, decided as the hub will decide it."""
    reached = set()
    for event in hub.inbound(source).parse(sent):
        matches = hub.router.match(
            event, event_id=new_id(sent.received_at), source=source, received_at=sent.received_at
        )
        reached |= {match.route.destination for match in matches}
    destinations = hub.configuration.destinations
    return sorted(name for name in reached if not destinations[name].sandbox)


def external_id_of(hub: Hub, source: str, sent: InboundRequest) -> str:
    """Return the id by which the event of a sample is found again."""
    return hub.inbound(source).parse(sent)[0].external_id
