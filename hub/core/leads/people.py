"""Owners of leads (`people` in hub.yaml): contact data, working hours and absences."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from hub.core.leads.working_hours import WEEK_MINUTES, Calendar, Hours


@dataclass(frozen=True, slots=True)
class Absence:
    """Absence of a person, from the `first` to the `last` day, both included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Person:
    """Person under `people`. Without `hours` a person is always on duty, on holidays too.

    `weight` is the person's share of the leads that are assigned by weight.
    """

    slug: str
    name: str
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    hours: Hours | None = None
    away: tuple[Absence, ...] = ()
    weight: int = 1

    def is_away(self, now: datetime, calendar: Calendar) -> bool:
        """Return whether the site's current date lies in an absence of the person."""
        today = calendar.local(now).date()
        return any(absence.holds(today) for absence in self.away)

    def is_on_duty(self, now: datetime, calendar: Calendar) -> bool:
        """Return whether the person is not away and within working hours."""
        if self.is_away(now, calendar):
            return False
        return self.hours is None or self.hours.hold(calendar.local(now), calendar.holidays)


def uncovered(people: Iterable[Person]) -> int | None:
    """Return the first minute of an ordinary week, from Monday, in which no person works.

    None if the people cover the whole week.
    """
    worked = bytearray(WEEK_MINUTES)
    for person in people:
        if person.hours is None:
            return None
        for minutes in person.hours.minutes_of_week():
            worked[minutes.start : minutes.stop] = b"\x01" * len(minutes)
    found = worked.find(0)
    return None if found < 0 else found
