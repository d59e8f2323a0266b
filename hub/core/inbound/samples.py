"""Samples: webhooks as the provider would send them, and the destinations that they reach."""

import secrets
from datetime import datetime

from adapters import AdapterError, InboundRequest
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.ids import new_id


def address_of(hub: Hub, source: str) -> str:
    """Return the URL path of a source, without a path secret that may follow.

    Raises:
        NotFound: there is no such source, or it is disabled.
    """
    configured = hub.configuration.sources.get(source)
    if configured is None or not configured.enabled:
        known = ", ".join(hub.configuration.sources) or "none"
        raise NotFound(f"there is no source {source}; hub.yaml has {known}")
    return f"/{'forms' if hub.inbound(source).takes_forms else 'webhooks'}/{source}"


def make_sample(
    hub: Hub, source: str, native_type: str | None, *, origin: str, live: bool, now: datetime
) -> InboundRequest:
    """Return a signed sample as the provider would post it; by default of the first type.

    `origin` is the origin of its URL when the hub has no public URL.

    Raises:
        NotFound: there is no such source, it is disabled, it has no sample of that type, or its
            sample would be refused.
    """
    path, adapter = address_of(hub, source), hub.inbound(source)
    public = f"{hub.public_url or origin}{path}"
    wanted = native_type or next(iter(adapter.sample_types()), "")
    try:
        sample = adapter.sample(wanted, secrets.token_hex(8), now, live=live, url=public)
    except LookupError as error:
        raise NotFound(str(error.args[0])) from error
    headers = {name.lower(): value for name, value in sample.headers.items()}
    request = InboundRequest("POST", public, headers, sample.body, now, sample.path_secret)
    try:
        adapter.parse(request)
    except AdapterError as error:
        raise NotFound(f"the sample of {source} would not be taken: {error}") from error
    return request


def live_destinations(hub: Hub, source: str, sent: InboundRequest) -> list[str]:
    """Return the destinations, outside the sandbox, that routing would choose for a request."""
    reached = set()
    for event in hub.inbound(source).parse(sent):
        matches = hub.router.match(
            event, event_id=new_id(sent.received_at), source=source, received_at=sent.received_at
        )
        reached |= {match.route.destination for match in matches}
    destinations = hub.configuration.destinations
    return sorted(name for name in reached if not destinations[name].sandbox)


def external_id_of(hub: Hub, source: str, sent: InboundRequest) -> str:
    """Return the external id of a sample's event, by which it is found after it was sent."""
    return hub.inbound(source).parse(sent)[0].external_id
