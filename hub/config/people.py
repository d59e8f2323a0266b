"""Section `people`: possible owners of leads, their contact details, working hours and absences.

Also `site.holidays`: dates, or a country (or part of one) with known public holidays. The library
with these holidays is large, so it is imported only if the configuration names a country.
"""

import re
from collections.abc import Container, Iterable
from datetime import date
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError, fields

from hub.config.fields import Text, Texts, Whole
from hub.config.sections import LoadContext, keys_of, known_keys, load, sections_of
from hub.config.yaml import Located
from hub.core.leads.people import Absence, Person
from hub.core.leads.working_hours import Hours, parse_hours

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Email(Text):
    """Field of a syntactically valid e-mail address; deliverability is not checked."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        # Slow to import, and many configurations name no people.
        from email_validator import EmailNotValidError, validate_email

        text = super()._deserialize(value, *args, **kwargs)
        try:
            return validate_email(text, check_deliverability=False).normalized
        except EmailNotValidError as error:
            raise ValidationError("expected an e-mail address like dana@example.org") from error


class Phone(Text):
    """Field of a telephone number in E.164, with its country code."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        import phonenumbers  # slow to import, and many configurations never need it

        text = super()._deserialize(str(value) if type(value) is int else value, *args, **kwargs)
        expected = "expected a number with its country, like +12025550123, in quotes"
        if not _E164.fullmatch(text):
            raise ValidationError(expected)
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException as error:
            raise ValidationError(expected) from error
        if not phonenumbers.is_possible_number(number):
            raise ValidationError("there is no such number: it has too many digits, or too few")
        return text


class WorkingHours(fields.Field[Hours]):
    """Field of working hours: `Mon-Fri 08:00-18:00`; several parts are separated by commas."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Hours:
        try:
            return parse_hours(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Dates(Texts):
    """Field of absences: a date, a range of dates, or a list of them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value == []:
            return ()
        texts = super()._deserialize(value, *args, **kwargs)
        found = [absence_of(text) for text in texts]
        wrong = {
            at: ["expected a date like 2026-12-24, or a range like 2026-12-24..2027-01-02"]
            for at, absence in enumerate(found)
            if absence is None
        }
        if wrong:
            raise ValidationError(wrong if isinstance(value, list) else wrong[0])
        return tuple(absence for absence in found if absence)


class PersonSchema(Schema):
    name = Text(required=True)
    email = Email()
    phone = Phone()
    hours = WorkingHours()
    away = Dates()
    weight = Whole(low=1, high=100)


def read_people(root: Located, reading: LoadContext) -> dict[str, Person]:
    """Return the people by slug, and report errors."""
    people = {}
    for slug, found in sections_of(root, "people", reading).items():
        schema = PersonSchema()
        known_keys(found, keys_of(schema), (), reading)
        values = load(schema, found, reading)
        people[slug] = Person(**{"name": slug} | values, slug=slug)
    return people


def absence_of(text: str) -> Absence | None:
    """Return the absence written as `2026-12-24` or `2026-12-24..2027-01-02`; None if invalid."""
    first, dots, last = text.partition("..")
    days = [_day(part.strip()) for part in ((first, last) if dots else (first, first))]
    if days[0] is None or days[1] is None or days[0] > days[1]:
        return None
    return Absence(days[0], days[1])


def days_of(absences: Iterable[Absence]) -> frozenset[date]:
    """Return every date that the absences cover."""
    return frozenset(
        date.fromordinal(ordinal)
        for absence in absences
        for ordinal in range(absence.first.toordinal(), absence.last.toordinal() + 1)
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


_CODE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}))?", re.ASCII)
_EXPECTED = (
    "expected a country like US, a part of one like US-NY, or a list of dates like 2026-12-24"
)
_MOST_DAYS = 4000


class PublicHolidays:
    """Public holidays of a country or a part of one, computed for each year when asked."""

    def __init__(self, country: str, subdivision: str | None) -> None:
        self._place = (country, subdivision)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and day in _holidays(*self._place, day.year)


class Holidays(Texts):
    """Field of holidays: a country, a part of one, or a list of dates and ranges of dates."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and (match := _CODE.fullmatch(value.strip().upper())):
            return _public(match[1], match[2])
        if value == []:
            return frozenset()
        texts = super()._deserialize(value, *args, **kwargs)
        found = [absence_of(text) for text in texts]
        wrong = {at: [_EXPECTED] for at, days in enumerate(found) if days is None}
        if wrong:
            raise ValidationError(wrong if isinstance(value, list) else _EXPECTED)
        ranges = [days for days in found if days]
        if sum((days.last - days.first).days + 1 for days in ranges) > _MOST_DAYS:
            raise ValidationError(f"more than {_MOST_DAYS} days")
        return days_of(ranges)


def _public(country: str, subdivision: str | None) -> Container[date]:
    import holidays

    there = holidays.list_supported_countries(include_aliases=True)
    if country not in there:
        raise ValidationError(f"the holidays of `{country}` are not known; {_EXPECTED}")
    if subdivision and subdivision not in there[country]:
        raise ValidationError(f"`{country}` has no part `{subdivision}`; {_EXPECTED}")
    return PublicHolidays(country, subdivision)


@cache
def _holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
