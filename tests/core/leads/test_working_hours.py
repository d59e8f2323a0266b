"""Working hours against a slow model that walks the clock, through both changes of summer time."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.leads.people import Absence, Person, uncovered
from hub.core.leads.working_hours import DAYS, Calendar, parse_hours

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
MINUTES = st.integers(0, 24 * 60 - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def parts(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Draw the days of a part, and its start and end."""
    first, last = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    days = [first]
    while days[-1] != last:
        days.append((days[-1] + 1) % 7)
    start = draw(MINUTES)
    end = draw(MINUTES.filter(lambda minute: minute != start) | st.just(24 * 60))
    return days, start, end


def works(
    asked: list[tuple[list[int], int, int]], moment: datetime, zone: ZoneInfo, off: set[date]
) -> bool:
    """Return whether a shift of the model covers the moment, by the wall clock of the zone."""
    local = moment.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    for back in (0, 1):
        begins = local.date() - timedelta(days=back)
        if begins in off:
            continue
        for days, start, end in asked:
            if begins.weekday() not in days:
                continue
            at = datetime.combine(begins, datetime.min.time()) + timedelta(minutes=start)
            length = (end - start) % (24 * 60) or 24 * 60
            if at <= local < at + timedelta(minutes=length):
                return True
    return False


@given(
    asked=st.lists(parts(), min_size=1, max_size=3),
    zone=st.sampled_from(ZONES),
    day=st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25),
                         date(2026, 11, 1), date(2026, 4, 5), date(2026, 10, 4)]),
    minutes=st.integers(-2 * 24 * 60, 2 * 24 * 60),
    off=st.sets(st.integers(-3, 3)),
)  # fmt: skip
def test_hours_are_those_of_the_wall_clock_also_when_the_clocks_change(
    asked, zone, day, minutes, off
) -> None:
    text = ", ".join(
        f"{DAYS[days[0]]}-{DAYS[days[-1]]} {clock(start)}-{clock(end)}"
        for days, start, end in asked
    )
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
    holidays = {day + timedelta(days=n) for n in off}
    calendar = Calendar(ZoneInfo(zone), frozenset(holidays))
    person = Person("dana", "Dana", hours=parse_hours(text))
    expected = works(asked, moment, calendar.zone, holidays)
    assert person.is_on_duty(moment, calendar) == expected


@given(asked=st.lists(parts(), min_size=1, max_size=4))
def test_the_first_gap_of_a_week_is_its_first(asked) -> None:
    people = [
        Person(str(n), "X", hours=parse_hours(f"{DAYS[days[0]]}-{DAYS[days[-1]]} "
                                              f"{clock(start)}-{clock(end)}"))
        for n, (days, start, end) in enumerate(asked)
    ]  # fmt: skip
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    gap = uncovered(people)
    calendar = Calendar(ZoneInfo("UTC"))
    covered = [
        any(one.is_on_duty(monday + timedelta(minutes=n), calendar)
            for one in people)
        for n in range(0, 7 * 24 * 60 if gap is None else gap + 1, 1 if gap else 17)
    ]  # fmt: skip
    assert all(covered[:-1])
    assert covered[-1] == (gap is None)


NEW_YORK = Calendar(ZoneInfo("America/New_York"), frozenset({date(2026, 12, 25)}))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK.zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "there", "not_there"),
    [
        ("Mon-Fri 08:00-18:00", "2026-11-20T08:00 2026-11-20T17:59",
         "2026-11-20T07:59 2026-11-20T18:00 2026-11-21T12:00"),
        ("mon 08:00-12:00, Sat 09:00-10:00", "2026-11-16T08:00 2026-11-21T09:30",
         "2026-11-17T08:00"),
        ("Fri 22:00-06:00", "2026-11-20T22:00 2026-11-21T05:59", "2026-11-20T05:00"),
        ("Sun 22:00-06:00", "2026-11-23T01:00", "2026-11-22T01:00"),
        ("Sat-Mon 10:00-11:00", "2026-11-21T10:00 2026-11-22T10:00 2026-11-23T10:00",
         "2026-11-20T10:00 2026-11-24T10:00"),
        ("00:00-24:00", "2026-11-20T00:00 2026-11-20T23:59", "2026-12-25T12:00"),
        ("Thu-Fri 22:00-06:00", "2026-12-25T05:59", "2026-12-25T22:00 2026-12-26T05:00"),
    ],
)  # fmt: skip
def test_hours_by_example(text: str, there: str, not_there: str) -> None:
    person = Person("dana", "Dana", hours=parse_hours(text))
    assert [one for one in there.split() if not person.is_on_duty(at(one), NEW_YORK)] == []
    assert [one for one in not_there.split() if person.is_on_duty(at(one), NEW_YORK)] == []


@pytest.mark.parametrize(
    "text",
    ["", "Mon-Fri", "Mon-Fri 8:00-18:00", "Mon-Fri 08:00-18:00,", "Foo 08:00-18:00", "25:00-26:00",
     "24:00-06:00", "08:00-08:00", "08:00-24:01", "Mon Fri 08:00-18:00", "٠٨:٠٠-18:00"],
)  # fmt: skip
def test_what_says_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no such day|end when|ends at"):
        parse_hours(text)


def test_who_is_away_is_not_on_duty_on_the_first_day_nor_on_the_last() -> None:
    person = Person("lee", "Lee", away=(Absence(date(2026, 11, 20), date(2026, 11, 21)),))
    days = ["2026-11-19T23:59", "2026-11-20T00:00", "2026-11-21T23:59", "2026-11-22T00:00"]
    assert [person.is_on_duty(at(day), NEW_YORK) for day in days] == [True, False, False, True]


def test_without_hours_one_is_on_duty_on_holidays_too() -> None:
    assert Person("lee", "Lee").is_on_duty(at("2026-12-25T12:00"), NEW_YORK)
