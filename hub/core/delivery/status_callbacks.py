"""Status callbacks: they settle unknown outcomes and advance the status of a delivery."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from hub.core.delivery.evidence import confirm
from hub.core.event_kinds import STATUS_ORDER, is_status_callback
from hub.core.hub import Hub
from hub.core.ids import parse_id
from hub.core.models import Attempt, Delivery


def apply_status_callback(
    connection: Connection,
    hub: Hub,
    *,
    event_type: str,
    source: str,
    data: Mapping[str, Any],
    now: datetime,
) -> UUID | None:
    """Apply a status callback to its delivery; return the delivery's id.

    None if the event is no status callback, or not about a delivery of the hub. Only the provider
    that was called is believed: the source must have the adapter of the destination.
    """
    if not is_status_callback(event_type, data):
        return None
    message_id = str(data["message_id"]) if data.get("message_id") else None
    found = _attempt(connection, data.get("hub_attempt"), message_id)
    if found is None or not _same_provider(hub, source, found.destination):
        return None
    said = f"{source} told: {event_type}"
    confirm(connection, found.id, seen_ref=message_id, by="webhook", said=said, now=now)
    _advance_status(connection, found.delivery_id, event_type, message_id)
    delivery_id: UUID = found.delivery_id
    return delivery_id


def _attempt(connection: Connection, token: object, message_id: str | None) -> Any:
    columns = (Attempt.id, Attempt.delivery_id, Delivery.destination)
    statement = select(*columns).join(Delivery, Delivery.id == Attempt.delivery_id)
    delivery, _, number = str(token or "").rpartition(".")
    if (delivery_id := parse_id(delivery)) and number.isdecimal() and len(number) < 9:
        found = connection.execute(
            statement.where(Attempt.delivery_id == delivery_id, Attempt.n == int(number))
        ).one_or_none()
        if found is not None:
            return found
    if message_id is None:
        return None
    return connection.execute(
        statement.where(
            Delivery.provider_ref == message_id, Attempt.provider_ref == message_id
        ).limit(1)
    ).one_or_none()


def _same_provider(hub: Hub, source: str, destination: str) -> bool:
    told_by = hub.configuration.sources.get(source)
    asked = hub.configuration.destinations.get(destination)
    return told_by is not None and asked is not None and told_by.adapter == asked.adapter


def _advance_status(
    connection: Connection, delivery_id: UUID, event_type: str, message_id: str | None
) -> None:
    """Advance the delivery's status, unless the delivery has the id of another message."""
    row = connection.execute(
        select(Delivery.status, Delivery.provider_ref)
        .where(Delivery.id == delivery_id)
        .with_for_update()
    ).one()
    if message_id and row.provider_ref and message_id != row.provider_ref:
        return
    family = event_type.partition(".")[0]
    if STATUS_ORDER[event_type] > STATUS_ORDER.get(f"{family}.{row.status}", 0):
        connection.execute(
            update(Delivery)
            .where(Delivery.id == delivery_id)
            .values(status=event_type.partition(".")[2])
        )
