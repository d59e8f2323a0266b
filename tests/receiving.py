"""Receiver as tests call it: of a request that has to verify."""

from typing import Any

from adapters import InboundRequest
from hub.core.inbound.ingest import PreparedRequest


def prepare(hub: Any, request: InboundRequest, slug: str) -> PreparedRequest:
    """Return a request that the receiver of a hub prepared, ready to be stored."""
    outcome = hub.receiver.prepare(request, slug)
    assert isinstance(outcome, PreparedRequest), outcome
    return outcome
