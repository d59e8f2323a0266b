"""Words about retention: how long things are kept, and why something is not found any more."""

from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from hub.core.configuration import Retention
from hub.core.ids import instant_of
from hub.core.models import BODY_KEY, EventKey, StoredEvent

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def span_words(span: timedelta | None) -> str:
    """Return a span as hub.yaml writes it: `90d`, `36h`, `forever`."""
    if span is None:
        return "forever"
    for unit, length in _UNITS:
        if span % length == timedelta():
            return f"{span // length}{unit}"
    return f"{int(span.total_seconds())}s"


def policy_words(retention: Retention) -> str:
    """Return all spans in one line, as hub.yaml names them."""
    return ", ".join(
        f"{field.name} {span_words(getattr(retention, field.name))}" for field in fields(retention)
    )


def kept_until(retention: Retention, received_at: datetime) -> tuple[datetime | None, ...]:
    """Return until when the body and the event of that time are kept, None for ever.

    Both stay longer if something about the event is open by then.
    """
    spans = (retention.bodies, retention.events)
    return tuple(None if span is None else received_at + span for span in spans)


def gone_words(connection: Connection, retention: Retention, wanted: UUID, *, now: datetime) -> str:
    """Return why there may be nothing of an id; empty if retention is not the reason.

    A key without its event says so for certain; otherwise the id itself tells its time.
    """
    key = (
        select(EventKey.event_id)
        .outerjoin(StoredEvent, StoredEvent.id == EventKey.event_id)
        .where(EventKey.event_id == wanted, StoredEvent.id.is_(None))
        .where(~EventKey.external_id.startswith(BODY_KEY))
        .limit(1)
    )
    kept = f"(`retention.events: {span_words(retention.events)}` in hub.yaml)"
    if connection.execute(key).first() is not None:
        return f"it was an event, and is deleted by retention {kept}"
    if wanted.version != 7 or retention.events is None:
        return ""
    if instant_of(wanted) > now - retention.events:
        return ""
    return f"what came at that time is deleted by retention {kept}"
