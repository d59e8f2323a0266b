"""Working hours: spans of a week on the wall clock of the site, as a person writes them.

A span that goes over midnight belongs to the day on which it begins. The wall clock is asked what
time it is, so a day of 23 or 25 hours needs no care: an hour that comes twice counts twice, one
that is left out never comes.
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
    """From `start` to `end`, in minutes of the day `weekday` (0 is Monday); over midnight if `end`
    is more than a day has.
    """

    weekday: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """How the site counts its days: its time zone, and the days on which nobody works."""

    zone: ZoneInfo
    holidays: Container[date] = frozenset()

    def local(self, moment: datetime) -> datetime:
        """Return an instant as the site's clocks show it."""
        return moment.astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody works, week after week."""

    text: str
    spans: tuple[Span, ...]

    def hold(self, local: datetime, holidays: Container[date] = frozenset()) -> bool:
        """Return whether somebody works at that time on the wall clock.

        Nobody begins to work on a holiday; what was begun the evening before is ended.
        """
        minute = local.hour * 60 + local.minute
        today = local.date()
        return self._has(today, minute, holidays) or self._has(
            today - timedelta(days=1), minute + DAY_MINUTES, holidays
        )

    def minutes_of_week(self) -> Iterator[range]:
        """Yield the minutes of an ordinary week, counted from Monday, that are worked."""
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
    """Return the hours that a text says: parts with commas between them, each `[DAYS] FROM-TO`.

    Without days a part is of every day. `22:00-06:00` goes over midnight, `00:00-24:00` is a day.

    Raises:
        ValueError: it says none; the message says what is wrong.
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
