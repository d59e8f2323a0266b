"""Deliveries whose calls end the worker that makes them: known by their attempts, told as alerts.

Whoever takes over a lane cannot know which of the calls that were left open the worker died of. So
each has the death on its record, and one that has `MOST_DEATHS - 1` in a row is a *suspect*: it is
tried with nothing beside it in its worker. If that dies too, it is known which call it was.
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
    """Return whether the `last` attempts of a delivery all ended with their worker.

    `before` leaves out so many newer ones. Those before a replay do not count: every death spends
    a try, and a replay begins to count tries anew. What became of the doubt since (`state`) is all
    the same: a look-up that found nothing does not clear anybody of a death.
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


# Whether the last attempt of a due delivery may have: seen on its row, where a destination that is
# away has made many others wait, so that nobody looks at all of their attempts.
_MAY_HAVE_DIED = Delivery.error.is_(None) | (Delivery.error == WORKER_DIED.message)
IS_POISON_SUSPECT = _MAY_HAVE_DIED & _died(MOST_DEATHS - 1)
# Whether it was one when the call that is open now was made.
WAS_POISON_SUSPECT = _died(MOST_DEATHS - 1, before=1)
IS_POISONED = _died(MOST_DEATHS)


def alert_poisoned(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """Begin an alert for each of these deliveries: they were given up because of their deaths."""
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
    """End the alerts of deliveries that have been replayed since."""
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
