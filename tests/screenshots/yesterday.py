"""Timestamps of the story: rows made a moment ago get the times at which it would have happened."""

import math
import random
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from hub.core.ids import new_id
from hub.core.models import Attempt, Delivery, StoredEvent

_TYPICAL_S = {"crm": 0.22, "email": 0.16, "sms": 0.31, "chat": 0.12, "books": 0.09}


def spread(connection: Connection, now: datetime, chance: random.Random) -> None:
    """Set each delivery's start to its event's arrival, and each attempt's shortly after."""
    deliveries = connection.execute(
        select(Delivery.id, Delivery.destination, Delivery.finished_at, StoredEvent.received_at)
        .join(StoredEvent, StoredEvent.id == Delivery.event_id)
    ).all()  # fmt: skip
    attempts: dict[object, list[object]] = {}
    for row in connection.execute(select(Attempt.delivery_id, Attempt.id).order_by(Attempt.n)):
        attempts.setdefault(row.delivery_id, []).append(row.id)
    for row in deliveries:
        at = row.received_at + timedelta(seconds=chance.uniform(0.004, 0.03))
        for attempt_id in attempts.get(row.id, ()):
            started = min(at, now)
            at = min(started + _duration(row.destination, chance), now)
            connection.execute(
                update(Attempt)
                .where(Attempt.id == attempt_id)
                .values(id=new_id(started), started_at=started, ended_at=at)
            )
            at += timedelta(minutes=chance.uniform(1, 9))
        ended = {} if row.finished_at is None else {"finished_at": _end(connection, row.id)}
        connection.execute(
            update(Delivery)
            .where(Delivery.id == row.id)
            .values(created_at=row.received_at, since=row.received_at, **ended)
        )


def _end(connection: Connection, delivery_id: object) -> datetime | None:
    ends = select(Attempt.ended_at).where(Attempt.delivery_id == delivery_id)
    return connection.execute(ends.order_by(Attempt.n.desc()).limit(1)).scalar_one_or_none()


def _duration(destination: str, chance: random.Random) -> timedelta:
    typical_s = _TYPICAL_S.get(destination, 0.15)
    return timedelta(seconds=typical_s * math.exp(chance.gauss(0, 0.6)))
