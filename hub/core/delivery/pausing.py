"""Holding a destination back, and letting it go on: what a person does, so it is audited."""

from datetime import datetime

from sqlalchemy import Connection, select

from hub.core.audit import note
from hub.core.delivery import lanes
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.models import AuditEntry

PAUSE, RESUME = "pause", "resume"


def set_paused(
    connection: Connection, hub: Hub, destination: str, *, paused: bool, actor: str, now: datetime
) -> None:
    """Pause a destination, or let it go on at once: a block is lifted too.

    Raises:
        NotFound: there is no such destination in hub.yaml.
    """
    if destination not in hub.configuration.destinations:
        known = ", ".join(hub.configuration.destinations) or "none"
        raise NotFound(f"there is no destination {destination}; hub.yaml has {known}")
    lanes.ensure(connection, [destination])
    lanes.set_paused(connection, destination, paused=paused)
    note(connection, actor=actor, action=PAUSE if paused else RESUME, subject=destination, now=now)


def paused_by(connection: Connection, destination: str) -> tuple[str, datetime] | None:
    """Return who paused a destination last, and when; None if nobody is on record."""
    row = connection.execute(
        select(AuditEntry.actor, AuditEntry.at)
        .where(AuditEntry.subject == destination, AuditEntry.action == PAUSE)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    return (row.actor, row.at) if row else None
