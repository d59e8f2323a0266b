"""Working hours: weekly time spans in the local time of the site.

A span across midnight belongs to the day on which it begins. Only local times are compared, so
days of 23 or 25 hours need no special case: a repeated hour counts twice, a skipped one never.
"""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXPECTED = "expected hours like Mon-Fri 08:00-18:00, Sat 09:00-12:00"

_PART = re.compile(
    r"(?:(?P<first>[A-Za-z]{3})(?:\s*-\s*(?P<last>[A-Za-z]{3}))?\s+)?"
    r"(?P<from>[0-2][0-9]:[0-5][0-9])\s*-\s*(?P<to>[0-2][0-9]:[0-5][0-9])",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Time span from `start` to `end`, in minutes of the day `weekday` (0 is Monday).

    The span crosses midnight if `end` is more than `DAY_MINUTES`.
    """

    weekday: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Calendar of the site: its time zone and its holidays."""

    zone: ZoneInfo
    holidays: Container[date] = frozenset()

    def local(self, moment: datetime) -> datetime:
        """Return an instant in the time zone of the site."""
        return moment.astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class Hours:
    """Working hours of a person in every week: the text of hub.yaml and its spans."""

    text: str
    spans: tuple[Span, ...]

    def hold(self, local: datetime, holidays: Container[date] = frozenset()) -> bool:
        """Return whether a local time lies within the working hours.

        No span begins on a holiday; one that began the evening before runs to its end.
        """
        minute = local.hour * 60 + local.minute
        today = local.date()
        return self._has(today, minute, holidays) or self._has(
            today - timedelta(days=1), minute + DAY_MINUTES, holidays
        )

    def minutes_of_week(self) -> Iterator[range]:
        """Yield the working minutes of an ordinary week as ranges, counted from Monday 00:00."""
        for span in self.spans:
            start, end = (span.weekday * DAY_MINUTES + at for at in (span.start, span.end))
            yield range(start, min(end, WEEK_MINUTES))
            yield range(max(0, end - WEEK_MINUTES))

    def _has(self, day: date, minute: int, holidays: Container[date]) -> bool:
        weekday = day.weekday()
        return day not in holidays and any(
            span.weekday == weekday and span.start <= minute < span.end for span in self.spans
        )


def parse_hours(text: str) -> Hours:
    """Parse working hours: parts separated by commas, each `[DAYS] FROM-TO`.

    A part without days applies to every day. `22:00-06:00` crosses midnight; `00:00-24:00` is a
    whole day.

    Raises:
        ValueError: the text is not valid; the message says what is wrong.
    """
    spans = [span for part in text.split(",") for span in _spans(part.strip())]
    return Hours(text, tuple(dict.fromkeys(spans)))


def _spans(part: str) -> Iterable[Span]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(EXPECTED)
    start, end = _minute(match["from"]), _minute(match["to"])
    if start in (DAY_MINUTES, end):
        raise ValueError("the hours of a part end when they begin; a whole day is 00:00-24:00")
    if end < start:
        end += DAY_MINUTES
    return [Span(weekday, start, end) for weekday in _weekdays(match["first"], match["last"])]


def _weekdays(first: str | None, last: str | None) -> Iterable[int]:
    if first is None:
        return range(7)
    begin, end = _weekday(first), _weekday(last or first)
    return [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]


def _weekday(name: str) -> int:
    try:
        return DAYS.index(name.capitalize())
    except ValueError:
        raise ValueError(f"there is no such day; expected one of {' '.join(DAYS)}") from None


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if hour * 60 + minute > DAY_MINUTES:
        raise ValueError("a day ends at 24:00")
    return hour * 60 + minute
