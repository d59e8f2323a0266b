"""On-call overview: duty, absence and open leads of each person, and gaps in the working hours."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from adapters.contract.fields import rfc3339
from hub.core.configuration import Configuration
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.owner_context import calendar_of
from hub.core.leads.people import Person, uncovered
from hub.core.leads.working_hours import DAYS
from hub.core.models import Acknowledgement, Assignment, LeadNotification


def people_rows(
    connection: Connection, configuration: Configuration, *, now: datetime
) -> list[dict[str, Any]]:
    """Return one row per person of hub.yaml: hours, duty, absence, last assignment, open leads.

    `open_leads` counts the leads that the person was notified of and that are not acknowledged.
    """
    calendar = calendar_of(configuration.site)
    return [
        {
            "person": person.slug,
            "name": person.name,
            "hours": person.hours.text if person.hours else None,
            "on_duty": person.is_on_duty(now, calendar),
            "away": person.is_away(now, calendar),
            "last_assigned": _last_assigned(connection, person),
            "open_leads": _open_leads(connection, person),
        }
        for person in configuration.people.values()
    ]


def _last_assigned(connection: Connection, person: Person) -> str | None:
    wanted = select(func.max(Assignment.decided_at)).where(Assignment.person == person.slug)
    found: datetime | None = connection.execute(wanted).scalar_one()
    return None if found is None else rfc3339(found)


def _open_leads(connection: Connection, person: Person) -> int:
    done = select(Acknowledgement.event_id).where(
        Acknowledgement.event_id == LeadNotification.event_id
    )
    counted = select(func.count(func.distinct(LeadNotification.event_id))).where(
        LeadNotification.person == person.slug, ~done.exists()
    )
    return int(connection.execute(counted).scalar_one())


def gaps(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Yield each `assign` list with a gap in its hours, and the first gap in an ordinary week.

    A gap is a minute in which no person of the rules before the last one is on duty, so that the
    last rule decides. Rules with a condition or an area are left out. A list has no gap if no other
    rule is left or if one of them disregards hours. The time reads `Mon 08:00`.
    """
    for name, rules in configuration.assign.items():
        usual = [rule for rule in rules[:-1] if rule.when is None and not rule.areas]
        if not usual or any(not rule.within_hours for rule in usual):
            continue
        minute = uncovered(_people(configuration, usual))
        if minute is not None:
            hour, rest = divmod(minute % (24 * 60), 60)
            yield name, f"{DAYS[minute // (24 * 60)]} {hour:02}:{rest:02}"


def _people(configuration: Configuration, rules: list[Rule]) -> Iterator[Person]:
    for rule in rules:
        for slug in rule.to:
            yield configuration.people[slug]
