"""Projections of stored events, outside the inbound request.

They update the contact, the delivery that a status callback reports on, the lead that a reply
acknowledges, and the search index.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Connection, Row, exists, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable

from hub.core.contacts import Facts, fold_contacts, lock_contacts
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.status_callbacks import apply_status_callback
from hub.core.event_kinds import is_feedback
from hub.core.hub import Hub
from hub.core.leads.acknowledgement import take_reply
from hub.core.models import StoredEvent
from hub.core.monitoring import alerts
from hub.core.pipeline import StatementForRows, write_rows
from hub.core.search.indexer import event_words, write_words

_COLUMNS = (StoredEvent.id, StoredEvent.source, StoredEvent.type, StoredEvent.external_id,
            StoredEvent.data, StoredEvent.occurred_at)  # fmt: skip
# Number of the advisory lock of projections: "hubg".
_LEFT_OVER = 0x68756267

log = logging.getLogger(__name__)


def project_some(connection: Connection, hub: Hub, *, most: int, now: datetime) -> int:
    """Project up to `most` pending events, the oldest first; return how many there were.

    They are also indexed for search, so that their rows are written once. Return 0 while another
    process does the same. Locks are acquired in one order everywhere: deliveries, then the lock of
    folding (`lock_contacts`), then events. A transaction that records or claims a call locks the
    delivery first, and may then fold its event. So no event is locked here while a delivery or the
    lock of folding is waited for, and no event is waited for: another transaction may lock several.
    """
    if not _is_alone(connection):
        return 0
    rows = connection.execute(
        select(*_COLUMNS).where(~StoredEvent.folded).order_by(StoredEvent.id).limit(most)
    ).all()
    told = [row for row in rows if _apply_feedback(connection, hub, row, now)]
    if told:
        words = {row.id: event_words(row) for row in told}
        lock_contacts(connection)
        _fold(connection, _locked(connection, told), words, now)
    return len(rows)


def oldest_unprojected(connection: Connection) -> UUID | None:
    """Return the oldest event of which a projection is pending; None if there is none."""
    oldest = select(StoredEvent.id).where(~StoredEvent.folded).order_by(StoredEvent.id).limit(1)
    return connection.execute(oldest).scalar_one_or_none()


def _is_alone(connection: Connection) -> bool:
    """Return whether this transaction has acquired the lock of projections, held to its end."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(_LEFT_OVER))))


def _locked(connection: Connection, told: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Lock the events that are still not folded, and return them, in their order.

    A claim may have folded some meanwhile. Those from the first one on that another transaction has
    locked are left for the next round: a later event must not be folded before an earlier one.
    """
    ids = [row.id for row in told]
    mine = select(StoredEvent.id).where(StoredEvent.id.in_(ids), ~StoredEvent.folded)
    free = set(connection.execute(mine.with_for_update(skip_locked=True, key_share=True)).scalars())
    left = set(ids) if len(free) == len(ids) else set(connection.execute(mine).scalars())
    in_order = takewhile(lambda row: row.id in free or row.id not in left, told)
    return [row for row in in_order if row.id in free]


def _fold(
    connection: Connection, rows: Sequence[Row[Any]], words: Mapping[UUID, list[str]], now: datetime
) -> None:
    """Fold and index events as one set; one by one if the database rejects the set."""
    try:
        with connection.begin_nested():
            _fold_set(connection, rows, now, indexed=True)
            write_words(connection, {row.id: words[row.id] for row in rows})
    except Exception as error:
        if not _is_of_row(error):
            raise
        for row in rows:
            _fold_alone(connection, row, now)


def _fold_alone(connection: Connection, row: Row[Any], now: datetime) -> None:
    try:
        with connection.begin_nested():
            _fold_set(connection, [row], now, indexed=False)
    except Exception as error:  # noqa: BLE001 - one event must not keep the others waiting
        _give_up(connection, row, error, now)
        mine = StoredEvent.id == row.id
        connection.execute(update(StoredEvent).where(mine).values(folded=True))


def _fold_set(
    connection: Connection, rows: Sequence[Row[Any]], now: datetime, *, indexed: bool
) -> None:
    told = [Facts(row.id, row.source, row.type, row.data or {}) for row in rows]
    contact_ids = fold_contacts(connection, told, now=now)
    linked = [
        {"event_id": row.id, "found_id": contact_id, "is_indexed": indexed}
        for row, contact_id in zip(rows, contact_ids, strict=True)
    ]
    write_rows(connection, _FOLDED, linked)


def _apply_feedback(connection: Connection, hub: Hub, row: Row[Any], now: datetime) -> bool:
    """Apply an event's status callback or acknowledgement; return whether it can be folded now."""
    data = row.data or {}
    # All other events change nothing here.
    begin = connection.begin_nested if is_feedback(row.type, data) else nullcontext
    try:
        with begin():
            apply_status_callback(
                connection, hub, event_type=row.type, source=row.source, data=data, now=now
            )
            take_reply(
                connection,
                hub.configuration.people,
                event_type=row.type,
                data=data,
                said_at=row.occurred_at,
                now=now,
            )
    except Exception as error:  # noqa: BLE001 - one event must not keep the others waiting
        # The call that the event reports on is being recorded just now: leave it to the next round.
        if isinstance(error, DBAPIError) and classify(error) is DatabaseErrorKind.RETRYABLE:
            return False
        _give_up(connection, row, error, now)
    return True


def _give_up(connection: Connection, row: Row[Any], error: Exception, now: datetime) -> None:
    """Log that the projection of one event failed for good, with an alert for its source.

    Raises:
        DBAPIError: the error is not the event's fault.
    """
    if not _is_of_row(error):
        raise error
    log.error("event %s: a projection failed and is skipped (%s)", row.id, type(error).__name__)
    sentence = (
        f"event {row.id} is in no contact, or its news reached no delivery or lead "
        f"({type(error).__name__}); the worker's log names others like it: tell whoever looks "
        "after the code, and put this alert aside"
    )
    alerts.begin(connection, alerts.NOT_FOLDED, f"source {row.source}", sentence, now=now)


def is_pending(connection: Connection) -> bool:
    """Return whether an event waits for its projections."""
    # One condition for each of the two partial indexes: together they would use neither.
    waits = or_(exists().where(~StoredEvent.folded), exists().where(~StoredEvent.indexed))
    return bool(connection.scalar(select(waits)))


def _is_of_row(error: Exception) -> bool:
    """Return whether an error is the fault of a row, not of the database."""
    return not isinstance(error, DBAPIError) or classify(error) is DatabaseErrorKind.REJECTED_ROW


def _folded(row: Any) -> Executable:
    return (
        update(StoredEvent)
        .where(StoredEvent.id == row["event_id"])
        .values(
            contact_id=row["found_id"],
            folded=True,
            indexed=or_(StoredEvent.indexed, row["is_indexed"]),
        )
    )


_FOLDED = StatementForRows(
    _folded,
    {"event_id": StoredEvent.id.type, "found_id": StoredEvent.id.type, "is_indexed": Boolean()},
    by=(StoredEvent.id, "event_id"),
)
