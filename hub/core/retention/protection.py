"""Protection of events: what must not be deleted, whatever its age.

An event is needed as long as it is yet to be folded, a delivery of it is open, waiting or
unsettled, a replay has yet to release one, a person is still to be told of its lead, the lead is
undecided, or an open alert speaks of it.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    cast,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from hub.core.models import (
    IS_OPEN,
    Alert,
    Attempt,
    Delivery,
    DeliveryState,
    EventState,
    ItemState,
    LeadNotification,
    Replay,
    ReplayItem,
    ReplayState,
    StoredEvent,
    is_among,
)
from hub.core.monitoring import alerts

IS_SETTLED = is_among([DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.SKIPPED])
IS_HELD = StoredEvent.state == literal_column(f"'{EventState.HELD}'")
_IS_GOING = Replay.state.in_(
    [literal_column(f"'{state}'") for state in (ReplayState.RUNNING, ReplayState.PAUSED)]
)
# Start and length of the parts of a UUID's hexadecimal digits.
_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


def is_needed(connection: Connection) -> ColumnElement[bool]:
    """Return the condition for events that must stay, as an expression over `events`.

    It is for a few events at once, named by their ids: each of its parts looks a row up.
    """
    mine = Delivery.event_id == StoredEvent.id
    parts: list[Any] = [
        IS_HELD,
        ~StoredEvent.folded,
        exists().where(mine, ~IS_SETTLED),
        exists().where(mine, Attempt.delivery_id == Delivery.id, IS_OPEN),
        exists().where(
            LeadNotification.event_id == StoredEvent.id, LeadNotification.closed_at.is_(None)
        ),
    ]
    if replays := connection.execute(select(Replay.id).where(_IS_GOING)).scalars().all():
        is_waiting = ReplayItem.state == literal_column(f"'{ItemState.WAITING}'")
        is_its = ReplayItem.delivery_id == Delivery.id
        parts.append(exists().where(mine, is_its, ReplayItem.replay_id.in_(replays), is_waiting))
    parts.append(is_alerted(connection, "event", StoredEvent.id))
    parts.append(exists().where(mine, is_alerted(connection, "delivery", Delivery.id)))
    return or_(*parts)


def is_alerted(connection: Connection, noun: str, column: Any) -> ColumnElement[bool]:
    """Return the condition that an open alert speaks of the event or delivery with a column's id.

    Its subject, the noun and the id, is looked up by the index of open alerts, which may be many.
    Alerts of unknown outcomes are left out: their deliveries are unsettled anyway.
    """
    kinds = alerts.open_kinds(connection) - {alerts.UNKNOWN_OUTCOME}
    if not kinds:
        return false()
    subject = literal_column(f"'{noun} '", Text) + _words_of(connection, column)
    is_it = (Alert.kind.in_(sorted(kinds)), Alert.subject == subject, Alert.ended_at.is_(None))
    return exists().where(*is_it)


def _words_of(connection: Connection, column: Any) -> ColumnElement[str]:
    """Return an id as a subject writes it; SQLite's have no hyphens."""
    if connection.dialect.name == "postgresql":
        return cast(column, Text)
    digits = type_coerce(column, Text)
    a, b, c, d, e = (func.substr(digits, *part, type_=Text) for part in _PARTS)
    return a + "-" + b + "-" + c + "-" + d + "-" + e
