"""Lead assignment: decided once per lead and `assign` list, stored, never changed by hub.yaml.

The decision is made in the transaction that claims the first delivery that needs it, under an
advisory lock: two workers never assign one lead to different persons, and rotation counts every
earlier decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, literal, select

from hub.core.contacts import lock_contacts
from hub.core.leads.assignment_rules import Rule, choose
from hub.core.leads.people import Person
from hub.core.leads.working_hours import Calendar
from hub.core.models import Assignment, insert_if_new


@dataclass(frozen=True, slots=True)
class Assigned:
    """Assignment of a lead, as stored."""

    assign: str
    person: str
    name: str
    rule: int
    why: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class AssignList:
    """Rules of one list under `assign`, with the people and the calendar that they refer to."""

    name: str
    rules: Sequence[Rule]
    people: Mapping[str, Person]
    calendar: Calendar


class StoredRotation:
    """Rotation of one list, read from the stored assignments."""

    def __init__(self, connection: Connection, assign: str) -> None:
        self._connection = connection
        self._assign = assign

    def last_turns(self, people: Sequence[str]) -> Mapping[str, int]:
        columns = [
            select(func.coalesce(func.max(Assignment.n), 0))
            .where(Assignment.person == slug, Assignment.assign == self._assign)
            .scalar_subquery()
            .label(f"last_{at}")
            for at, slug in enumerate(people)
        ]
        return dict(zip(people, self._connection.execute(select(*columns)).one(), strict=True))

    def turns_among(self, people: Sequence[str], most: int) -> Mapping[str, int]:
        latest = (
            select(Assignment.person)
            .where(Assignment.assign == self._assign, Assignment.person.in_(people))
            .order_by(Assignment.n.desc())
            .limit(most)
            .subquery()
        )
        counted = select(latest.c.person, func.count()).group_by(latest.c.person)
        return {row[0]: row[1] for row in self._connection.execute(counted)}


def assigned(connection: Connection, event_id: UUID, assign: str) -> Assigned | None:
    """Return the assignment of a lead by one list; None if there is none yet."""
    found = assignments_of(connection, event_id)
    return next((one for one in found if one.assign == assign), None)


def assignments_of(connection: Connection, event_id: UUID) -> list[Assigned]:
    """Return all assignments of a lead, ordered by the name of the list."""
    columns = [getattr(Assignment, name) for name in Assigned.__slots__]
    rows = connection.execute(
        select(*columns).where(Assignment.event_id == event_id).order_by(Assignment.assign)
    )
    return [Assigned(**row._mapping) for row in rows]


def assign(
    connection: Connection,
    event_id: UUID,
    chosen_by: AssignList,
    context: Mapping[str, Any],
    *,
    now: datetime,
) -> Assigned:
    """Return the assignment of a lead by one list; decide and store it if there is none."""
    if found := assigned(connection, event_id, chosen_by.name):
        return found
    lock_contacts(connection)
    if found := assigned(connection, event_id, chosen_by.name):
        return found
    choice = choose(
        chosen_by.rules,
        chosen_by.people,
        context,
        now=now,
        calendar=chosen_by.calendar,
        turns=StoredRotation(connection, chosen_by.name),
    )
    decided = Assigned(
        chosen_by.name, choice.person.slug, choice.person.name, choice.rule, choice.why, now
    )
    _keep(connection, event_id, decided)
    return decided


def _keep(connection: Connection, event_id: UUID, decided: Assigned) -> None:
    values = {name: getattr(decided, name) for name in Assigned.__slots__}
    next_n = select(func.coalesce(func.max(Assignment.n), literal(0)) + 1).scalar_subquery()
    connection.execute(
        insert_if_new(connection, Assignment).values(event_id=event_id, n=next_n, **values)
    )
