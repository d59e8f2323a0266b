"""Ownership of a provider's records: an account may serve other programs besides the hub."""

from sqlalchemy import Connection, select

from adapters import Event
from hub.core.event_kinds import STATUS_ORDER
from hub.core.models import Delivery, StoredEvent

HEARD_LATELY = 5000


def addresses_heard(connection: Connection, source: str) -> set[str]:
    """Return the recipient numbers of a source's latest webhooks."""
    lately = (
        select(StoredEvent.data)
        .where(StoredEvent.source == source, ~StoredEvent.backfilled)
        .order_by(StoredEvent.id.desc())
        .limit(HEARD_LATELY)
    )
    found = (data.get("to") for data in connection.execute(lately).scalars() if data)
    return {address for address in found if isinstance(address, str)}


def is_hubs_business(connection: Connection, event: Event, heard: set[str]) -> bool:
    """Return whether a listed event can only concern the hub.

    A message to a number whose webhooks go elsewhere does not, nor does the status of a message
    that another program sent.
    """
    if event.type.startswith("sms.") and event.type in STATUS_ORDER:
        sent = select(Delivery.id).where(Delivery.provider_ref == event.data.get("message_id"))
        return connection.execute(sent.limit(1)).first() is not None
    if event.type.startswith(("sms.", "call.")):
        return event.data.get("to") in heard
    return True
