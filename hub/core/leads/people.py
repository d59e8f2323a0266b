"""The people who look after leads, and when they are there."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from hub.core.leads.working_hours import WEEK_MINUTES, Calendar, Hours


@dataclass(frozen=True, slots=True)
class Absence:
    """Days on which somebody is not there, both of them too."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody under `people`. Without `hours` they are always on duty, holidays too.

    `weight` is their share of what is picked by weight.
    """

    slug: str
    name: str
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    hours: Hours | None = None
    away: tuple[Absence, ...] = ()
    weight: int = 1

    def is_away(self, now: datetime, calendar: Calendar) -> bool:
        """Return whether the site's date is one of those on which they are not there."""
        today = calendar.local(now).date()
        return any(absence.holds(today) for absence in self.away)

    def is_on_duty(self, now: datetime, calendar: Calendar) -> bool:
        """Return whether they are there and at work."""
        if self.is_away(now, calendar):
            return False
        return self.hours is None or self.hours.hold(calendar.local(now), calendar.holidays)


def uncovered(people: Iterable[Person]) -> int | None:
    """Return the first minute of an ordinary week, from Monday, in which none of them works."""
    worked = bytearray(WEEK_MINUTES)
    for person in people:
        if person.hours is None:
            return None
        for minutes in person.hours.minutes_of_week():
            worked[minutes.start : minutes.stop] = b"\x01" * len(minutes)
    found = worked.find(0)
    return None if found < 0 else found
