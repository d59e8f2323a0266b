"""What is done with an event afterwards, off the request's path: its contact, and its delivery."""

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import DBAPIError

from hub.core.contacts import Facts, fold, one_at_a_time
from hub.core.following import follow
from hub.core.hub import Hub
from hub.core.models import StoredEvent
from hub.core.trouble import Trouble, trouble_of

log = logging.getLogger(__name__)


def fold_some(connection: Connection, hub: Hub, *, most: int, now: datetime) -> int:
    """Fold up to `most` events that are not yet; return how many there were.

    News is taken to its deliveries before anybody's folding is locked out: whoever records a call
    holds its rows first, and may ask for that lock then.
    """
    rows = connection.execute(
        select(StoredEvent.id, StoredEvent.source, StoredEvent.type, StoredEvent.data)
        .where(~StoredEvent.folded)
        .order_by(StoredEvent.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    told = [row for row in rows if _tell(connection, hub, row, now)]
    if told:
        one_at_a_time(connection)
    for row in told:
        facts = Facts(row.id, row.source, row.type, row.data or {})
        try:
            with connection.begin_nested():
                fold(connection, facts, now=now)
        except DBAPIError as error:
            _give_up(connection, row, error)
    return len(rows)


def _tell(connection: Connection, hub: Hub, row: Row[Any], now: datetime) -> bool:
    """Take an event's news to its delivery; return whether the event can be folded now."""
    try:
        with connection.begin_nested():
            follow(
                connection,
                hub,
                event_type=row.type,
                source=row.source,
                data=row.data or {},
                now=now,
            )
    except DBAPIError as error:
        if trouble_of(error) is Trouble.BUSY:
            return False  # the call that it tells of is being recorded: a little later
        _give_up(connection, row, error)
    return True


def _give_up(connection: Connection, row: Row[Any], error: DBAPIError) -> None:
    """Leave aside what one event tells and the database cannot keep.

    Raises:
        DBAPIError: it is not the event's fault.
    """
    if trouble_of(error) is not Trouble.ROW:
        raise error
    log.error("event %s tells something that cannot be kept", row.id)
    connection.execute(update(StoredEvent).where(StoredEvent.id == row.id).values(folded=True))
