"""Poison deliveries: their calls end the worker that makes them. Detection, isolation, alerts.

The next holder of a lane cannot know which of the open calls ended the worker. So the death is
recorded on each of them, and a delivery with `MOST_DEATHS - 1` deaths in a row is a *suspect*: it
is tried alone in its worker. If that worker dies too, the delivery is identified as poison.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.orm import aliased

from hub.core.delivery.evidence import delivery_subject
from hub.core.delivery.transitions import MOST_DEATHS, WORKER_DIED
from hub.core.models import Attempt, Delivery, DeliveryState, database_now
from hub.core.monitoring import alerts


def _died(last: int, *, before: int = 0) -> ColumnElement[bool]:
    """Return the condition that the `last` attempts of a delivery all ended with a worker's death.

    `before` is the number of newer attempts to leave out. Attempts before a replay do not count:
    every death spends a try, and a replay resets the tries. The present `state` of an attempt does
    not matter: a look-up that found no effect does not prove that the call was harmless.
    """
    attempt = aliased(Attempt)
    newest = Delivery.attempts - before
    deaths = (
        select(func.count())
        .select_from(attempt)
        .where(
            attempt.delivery_id == Delivery.id,
            attempt.n > newest - last,
            attempt.n <= newest,
            attempt.message == WORKER_DIED.message,
        )
        .correlate(Delivery)
        .scalar_subquery()
    )
    return (Delivery.tries >= last + before) & (deaths == last)


# Whether a worker's death may have ended the last attempt of a due delivery, by the delivery's own
# row. While a destination is unreachable many deliveries wait; most attempts need not be read.
_MAY_HAVE_DIED = Delivery.error.is_(None) | (Delivery.error == WORKER_DIED.message)
IS_POISON_SUSPECT = _MAY_HAVE_DIED & _died(MOST_DEATHS - 1)
# Whether the delivery was a suspect already when its open call was made.
WAS_POISON_SUSPECT = _died(MOST_DEATHS - 1, before=1)
IS_POISONED = _died(MOST_DEATHS)


def alert_poisoned(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """Begin an alert for each of these deliveries, which were given up as poison."""
    if not delivery_ids:
        return
    rows = connection.execute(
        select(Delivery.id, Delivery.destination, Delivery.action, database_now().label("now"))
        .where(Delivery.id.in_(delivery_ids))
        .order_by(Delivery.id)
    ).all()
    for row in rows:
        sentence = (
            f"{MOST_DEATHS} calls of {row.destination}.{row.action} in a row ended the worker that "
            "made them, and it is not tried again: the worker's log says more; once that is "
            f"mended, `hub replay {row.id}`"
        )
        alerts.begin(
            connection, alerts.ENDS_WORKERS, delivery_subject(row.id), sentence, now=row.now
        )


def end_alerts(connection: Connection, *, now: datetime) -> None:
    """End the alerts of poison deliveries that have been replayed since."""
    subjects = alerts.subjects(connection, alerts.ENDS_WORKERS, to_end=True)
    told = {subject: UUID(subject.split()[-1]) for subject in subjects}
    if not told:
        return
    failed = set(
        connection.execute(
            select(Delivery.id).where(
                Delivery.id.in_(told.values()), Delivery.state == DeliveryState.FAILED
            )
        ).scalars()
    )
    for subject, delivery_id in told.items():
        if delivery_id not in failed:
            alerts.end(connection, alerts.ENDS_WORKERS, subject, now=now)
