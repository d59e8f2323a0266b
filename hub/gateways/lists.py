"""The providers' own lists, read through the guarded transport with the account's credentials."""

from collections.abc import Iterator
from datetime import datetime

from adapters import Listed
from hub.core.configuration import Source
from hub.core.hub import Hub
from hub.gateways.transport import GuardedTransport

TIMEOUT_S = 30


def list_since(hub: Hub, source: Source, since: datetime, now: datetime) -> Iterator[Listed]:
    """Yield what a source's provider says happened since then.

    Raises:
        AdapterError: while the list is read: it cannot be read to its end.
    """
    account = hub.configuration.destinations.get(source.account or "")
    transport = GuardedTransport(timeout_s=TIMEOUT_S, allow_private=hub.allow_private)
    settings = account.settings if account else {}
    return hub.inbound(source.slug).list_since(since, now, transport, settings)
