"""`site.holidays`: dates, or a country or part of one whose public holidays are known.

The library that knows them is large and loaded for those alone who name a country.
"""

import re
from collections.abc import Container
from datetime import date
from functools import cache
from typing import Any

from marshmallow import ValidationError

from hub.config.people import absence_of, days_of
from hub.config.values import Texts

_CODE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}))?", re.ASCII)
_EXPECTED = (
    "expected a country like US, a part of one like US-NY, or a list of dates like 2026-12-24"
)
_MOST_DAYS = 4000


class PublicHolidays:
    """The public holidays of a country or a part of one, worked out year by year."""

    def __init__(self, country: str, subdivision: str | None) -> None:
        self._place = (country, subdivision)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and day in _holidays(*self._place, day.year)


class Holidays(Texts):
    """A country, a part of one, or a list of dates and ranges of dates."""

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
