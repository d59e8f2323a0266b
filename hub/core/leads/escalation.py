"""Lead escalation: notifies the next person until a lead is acknowledged or all were notified.

A `LeadNotification` row holds the time from which the next person is due. One transaction closes
the row and inserts its successor with the delivery that notifies: if the process is killed in
between, nothing has happened. Two clocks never process the same row, and each person is notified
once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from hub.core.hub import Hub
from hub.core.ids import new_id, parse_id
from hub.core.inbound.ingest import new_delivery_row
from hub.core.inbound.insert import insert_deliveries
from hub.core.inbound.routing import ESCALATE, Match
from hub.core.leads.acknowledgement import NOBODY_TOOK_IT, lead_subject, taken_lead
from hub.core.leads.assignment import assigned
from hub.core.leads.assignment_rules import successors
from hub.core.leads.owner_context import calendar_of, notification_values
from hub.core.leads.people import Person
from hub.core.leads.send_rules import CAP
from hub.core.models import (
    Acknowledgement,
    Alert,
    Delivery,
    DeliveryState,
    LeadNotification,
    database_now,
)
from hub.core.monitoring import alerts

# Delivery statuses reported later for a message that the provider accepted but did not deliver.
NOT_REACHED = ("undelivered", "failed", "bounced", "dropped")
# Longer than any transaction lasts: an older alert is ended by the acknowledgement itself.
JUST_BEGAN_MINUTES = 10

_TOLD = (DeliveryState.SUCCEEDED, DeliveryState.UNKNOWN)
_NOT_TOLD = (DeliveryState.FAILED, DeliveryState.SKIPPED)


def escalate(connection: Connection, hub: Hub, *, most: int, now: datetime) -> int:
    """Escalate up to `most` leads that were not acknowledged in time; return the number notified.

    Once all people of a lead were notified, an alert begins.
    """
    _schedule(connection, most)
    due = connection.execute(
        select(LeadNotification.__table__)
        .where(LeadNotification.closed_at.is_(None), LeadNotification.due_at <= database_now())
        .order_by(LeadNotification.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    told = 0
    for row in due:
        ended = _go_on(connection, hub, row, now)
        told += ended.startswith("told ")
        connection.execute(
            update(LeadNotification)
            .where(LeadNotification.id == row.id)
            .values(closed_at=database_now(), ended=ended)
        )
    _end_alerts(connection, now)
    return told


def _schedule(connection: Connection, most: int) -> None:
    """Set `due_at` of the notifications whose delivery has ended.

    If it failed, was skipped or is reported as not delivered, the next person is due at once. If
    it was skipped for a cap, the next one is due in its time: the cap holds for all of them.
    """
    has_end = LeadNotification.due_at.is_(None) & Delivery.state.in_([*_TOLD, *_NOT_TOLD])
    too_late = and_(LeadNotification.due_at > database_now(), Delivery.status.in_(NOT_REACHED))
    rows = connection.execute(
        select(
            LeadNotification.id,
            LeadNotification.after_s,
            Delivery.state,
            Delivery.status,
            Delivery.error,
            Delivery.finished_at,
            select(database_now()).scalar_subquery().label("now"),
        )
        .join(Delivery, Delivery.id == LeadNotification.delivery_id)
        .where(LeadNotification.closed_at.is_(None), or_(has_end, too_late))
        .limit(most)
        .with_for_update(of=LeadNotification, skip_locked=True)
    ).all()
    for row in rows:
        connection.execute(
            update(LeadNotification)
            .where(LeadNotification.id == row.id)
            .values(due_at=_due_at(row))
        )


def _due_at(row: Any) -> datetime:
    now: datetime = row.now
    is_capped = row.state == DeliveryState.SKIPPED and (row.error or "").startswith(CAP)
    if not is_capped and (row.state in _NOT_TOLD or row.status in NOT_REACHED):
        return now
    told_at: datetime = row.finished_at or now
    return told_at + timedelta(seconds=row.after_s)


def _go_on(connection: Connection, hub: Hub, row: Row[Any], now: datetime) -> str:
    """Notify the next person unless the lead is acknowledged; return the value for `ended`."""
    if taken_lead(connection, row.event_id):
        return "taken"
    route = hub.router.by_name(row.route)
    if route is not None and route.escalate_after_s is None:
        return "the route does not escalate any more"
    told = _told(connection, row.event_id, row.route)
    person = _next(connection, hub, row, told, now) if route else None
    notification = hub.router.by_name(f"{ESCALATE}{row.route}:{row.n + 1}")
    if person is None or notification is None or route is None:
        sentence = (
            f"route {row.route} {_deeds(connection, row, told)}: look after it, and say so with "
            f"`hub acknowledge {row.event_id}`"
        )
        alerts.begin(connection, NOBODY_TOOK_IT, lead_subject(row.event_id), sentence, now=now)
        return "nobody is left"
    match = Match(notification, DeliveryState.PENDING)
    delivery = new_delivery_row(match, {"id": row.event_id, "received_at": now})
    insert_deliveries(connection, [delivery])
    values = notification_values(
        row.event_id, row.route, row.n + 1, person.slug, row.assign, delivery["id"],
        route.escalate_after_s or row.after_s,
    )  # fmt: skip
    connection.execute(insert(LeadNotification).values(id=new_id(now), created_at=now, **values))
    return f"told {person.slug}"


def _told(connection: Connection, event_id: UUID, route: str) -> list[str]:
    found = select(LeadNotification.person).where(
        LeadNotification.event_id == event_id, LeadNotification.route == route
    )
    return list(connection.execute(found.order_by(LeadNotification.n)).scalars())


def _deeds(connection: Connection, row: Row[Any], told: Sequence[str]) -> str:
    """Return the words for what became of a lead's notifications to these people."""
    missed = connection.execute(
        select(LeadNotification.person)
        .join(Delivery, Delivery.id == LeadNotification.delivery_id)
        .where(
            LeadNotification.event_id == row.event_id,
            LeadNotification.route == row.route,
            or_(Delivery.state.in_(_NOT_TOLD), Delivery.status.in_(NOT_REACHED)),
        )
        .order_by(LeadNotification.n)
    )
    not_reached = list(missed.scalars())
    reached = [person for person in told if person not in not_reached]
    if not reached:
        return f"could not reach {', '.join(not_reached)}"
    but = f", could not reach {', '.join(not_reached)}" if not_reached else ""
    return f"has told {', '.join(reached)}{but}, and nobody took it"


def _next(
    connection: Connection, hub: Hub, row: Row[Any], told: Sequence[str], now: datetime
) -> Person | None:
    """Return the next person not yet notified: on duty first, never one who is away."""
    found = assigned(connection, row.event_id, row.assign)
    rules = hub.configuration.assign.get(row.assign)
    if found is None or rules is None:
        return None
    people, calendar = hub.configuration.people, calendar_of(hub.configuration.site)
    left = [
        people[slug]
        for slug in successors(rules, found.rule, found.person)
        if slug not in told and not people[slug].is_away(now, calendar)
    ]
    on_duty = (one for one in left if one.is_on_duty(now, calendar))
    return next(on_duty, left[0] if left else None)


def _end_alerts(connection: Connection, now: datetime) -> None:
    """End the alerts of leads that were acknowledged at the moment the alert began.

    All recent open alerts are checked, without a limit: there are never many.
    """
    told = connection.execute(
        select(Alert.subject).where(
            Alert.kind == NOBODY_TOOK_IT,
            Alert.ended_at.is_(None),
            Alert.began_at > now - timedelta(minutes=JUST_BEGAN_MINUTES),
        )
    ).scalars()
    ids = [found for subject in told if (found := parse_id(subject.rpartition(" ")[2]))]
    if not ids:
        return
    done = select(Acknowledgement.event_id).where(Acknowledgement.event_id.in_(ids))
    # Always in one order, so that concurrent transactions lock the alerts in the same order.
    done = done.order_by(Acknowledgement.event_id)
    for event_id in connection.execute(done).scalars():
        alerts.end(connection, NOBODY_TOOK_IT, lead_subject(event_id), now=now)
