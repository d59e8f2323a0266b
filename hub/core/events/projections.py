"""Projections of stored events, outside the inbound request.

They update the contact, the delivery that a status callback reports on, the lead that a reply
acknowledges, and the search index.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, or_, select, update
from sqlalchemy.exc import DBAPIError

from hub.core.contacts import Facts, fold_event, lock_contacts
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.status_callbacks import apply_status_callback
from hub.core.hub import Hub
from hub.core.leads.acknowledgement import take_reply
from hub.core.models import StoredEvent
from hub.core.search.indexer import index_some

_COLUMNS = (StoredEvent.id, StoredEvent.source, StoredEvent.type, StoredEvent.data,
            StoredEvent.occurred_at)  # fmt: skip
# Number of the advisory lock of projections: "hubg".
_LEFT_OVER = 0x68756267

log = logging.getLogger(__name__)


def project_some(connection: Connection, hub: Hub, *, most: int, now: datetime) -> int:
    """Project up to `most` pending events; return how many there were.

    Return 0 while another process does the same. Locks are acquired in one order everywhere:
    deliveries, then the lock of folding (`lock_contacts`), then events. A transaction that records
    or claims a call locks the delivery first, and may then fold its event. So no event is locked
    here while a delivery or the lock of folding is waited for.
    """
    if not _is_alone(connection):
        return 0
    rows = connection.execute(
        select(*_COLUMNS).where(~StoredEvent.folded).order_by(StoredEvent.id).limit(most)
    ).all()
    told = [row for row in rows if _apply_feedback(connection, hub, row, now)]
    if told:
        lock_contacts(connection)
    for row in _unprojected(connection, told):
        facts = Facts(row.id, row.source, row.type, row.data or {})
        try:
            with connection.begin_nested():
                fold_event(connection, facts, now=now)
        except Exception as error:  # noqa: BLE001 - one event must not keep the others waiting
            _give_up(row, error)
            mine = StoredEvent.id == row.id
            connection.execute(update(StoredEvent).where(mine).values(folded=True))
    index_some(connection, most=most)
    return len(rows)


def _is_alone(connection: Connection) -> bool:
    """Return whether this transaction has acquired the lock of projections, held to its end."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(_LEFT_OVER))))


def _unprojected(connection: Connection, told: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the events that are still not folded: a claim may have folded some meanwhile."""
    ids = [row.id for row in told]
    found = select(StoredEvent.id).where(StoredEvent.id.in_(ids), ~StoredEvent.folded)
    left = set(connection.execute(found).scalars()) if ids else set()
    return [row for row in told if row.id in left]


def _apply_feedback(connection: Connection, hub: Hub, row: Row[Any], now: datetime) -> bool:
    """Apply an event's status callback or acknowledgement; return whether it can be folded now."""
    try:
        with connection.begin_nested():
            apply_status_callback(
                connection,
                hub,
                event_type=row.type,
                source=row.source,
                data=row.data or {},
                now=now,
            )
            take_reply(
                connection,
                hub.configuration.people,
                event_type=row.type,
                data=row.data or {},
                said_at=row.occurred_at,
                now=now,
            )
    except Exception as error:  # noqa: BLE001 - one event must not keep the others waiting
        # The call that the event reports on is being recorded just now: leave it to the next round.
        if isinstance(error, DBAPIError) and classify(error) is DatabaseErrorKind.RETRYABLE:
            return False
        _give_up(row, error)
    return True


def _give_up(row: Row[Any], error: Exception) -> None:
    """Log that the projection of one event failed for good.

    Raises:
        DBAPIError: the error is not the event's fault.
    """
    if isinstance(error, DBAPIError) and classify(error) is not DatabaseErrorKind.REJECTED_ROW:
        raise error
    log.error("event %s: a projection failed and is skipped (%s)", row.id, type(error).__name__)


def is_pending(connection: Connection) -> bool:
    """Return whether an event waits for its projections."""
    # One condition for each of the two partial indexes: together they would use neither.
    waits = or_(exists().where(~StoredEvent.folded), exists().where(~StoredEvent.indexed))
    return bool(connection.scalar(select(waits)))
