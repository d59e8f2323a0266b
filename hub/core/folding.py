"""What is done with an event afterwards, off the request's path: its contact, and its delivery."""

import logging
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from hub.core.contacts import Facts, fold, one_at_a_time
from hub.core.following import follow
from hub.core.hub import Hub
from hub.core.models import StoredEvent
from hub.core.trouble import Trouble, trouble_of

log = logging.getLogger(__name__)


def fold_some(connection: Connection, hub: Hub, *, most: int, now: datetime) -> int:
    """Fold up to `most` events that are not yet; return how many there were."""
    one_at_a_time(connection)
    rows = connection.execute(
        select(StoredEvent.id, StoredEvent.source, StoredEvent.type, StoredEvent.data)
        .where(~StoredEvent.folded)
        .order_by(StoredEvent.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        facts = Facts(row.id, row.source, row.type, row.data or {})
        try:
            with connection.begin_nested():
                fold(connection, facts, now=now)
                follow(
                    connection,
                    hub,
                    event_type=row.type,
                    source=row.source,
                    data=facts.data,
                    now=now,
                )
        except DBAPIError as error:
            trouble = trouble_of(error)
            if trouble is Trouble.BUSY:
                continue  # the call that it tells of is being recorded: a little later
            if trouble is not Trouble.ROW:
                raise
            log.error("event %s tells something that cannot be kept", row.id)
            connection.execute(
                update(StoredEvent).where(StoredEvent.id == row.id).values(folded=True)
            )
    return len(rows)
