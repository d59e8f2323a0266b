"""Chart geometry: position and height of each bar, for templates that draw them as SVG."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.core.queries.hourly_stats import HourFigures
from hub.web.dashboard.blueprint import dashboard
from hub.web.dashboard.permissions import hub

LEFT, RIGHT, TOP, HEIGHT, FOOT, STEP, GAP = 46.0, 12.0, 8.0, 96.0, 20.0, 13.0, 2.0
EACH_HOURS = 4
_TIMES_S = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 360_000.0)


@dataclass(frozen=True, slots=True)
class BarPart:
    """A segment of a stacked bar; `look` is its CSS class."""

    y: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    parts: Sequence[BarPart]
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of an axis: its position and its label."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Geometry of a chart. The drawing is `width` by `height`; bars are `thick` wide."""

    bars: Sequence[Bar]
    across: Sequence[Tick]
    up: Sequence[Tick]
    width: float
    height: float = TOP + HEIGHT + FOOT
    thick: float = STEP - GAP
    left: float = LEFT
    floor: float = TOP + HEIGHT
    right: float = RIGHT


def counts(hours: Sequence[HourFigures], looks: Mapping[str, str]) -> Chart:
    """Return a chart of counts, one stacked bar an hour.

    `looks` maps figures to CSS classes, the lowest segment first.
    """
    most = max((sum(getattr(one, name) for name in looks) for one in hours), default=0)
    top = _round_up(max(most, 4))

    def parts(hour: HourFigures) -> Sequence[BarPart]:
        found, floor = [], TOP + HEIGHT
        for name, look in looks.items():
            if count := getattr(hour, name):
                height = max(2.0, HEIGHT * count / top)
                floor -= height
                found.append(BarPart(floor, height, look))
        return found

    def words(hour: HourFigures) -> str:
        return ", ".join(f"{getattr(hour, name)} {name}" for name in looks)

    up = [Tick(TOP + HEIGHT * (1 - share), f"{top * share:g}") for share in (0, 0.5, 1)]
    return _chart(hours, parts, words, up)


def durations(hours: Sequence[HourFigures]) -> Chart:
    """Return a chart of durations per hour (median, 95th percentile), on a logarithmic scale."""
    values = [value for one in hours for value in (one.p50_s, one.p95_s) if value is not None]
    marks = _marks(min(values, default=0.1), max(values, default=1.0))
    low, high = math.log(marks[0]), math.log(marks[-1])

    def y(value_s: float) -> float:
        share = (math.log(max(value_s, marks[0])) - low) / (high - low)
        return TOP + HEIGHT * (1 - share)

    def parts(hour: HourFigures) -> Sequence[BarPart]:
        if hour.p50_s is None or hour.p95_s is None:
            return []
        lower, upper = y(hour.p50_s), y(hour.p95_s)
        return [
            BarPart(upper, max(2.0, lower - upper), "slow"),
            BarPart(lower, max(2.0, TOP + HEIGHT - lower), "half"),
        ]

    def words(hour: HourFigures) -> str:
        if hour.p50_s is None:
            return "nothing done"
        return f"half within {taking(hour.p50_s)}, 95 of 100 within {taking(hour.p95_s)}"

    return _chart(hours, parts, words, [Tick(y(mark), taking(mark)) for mark in marks])


@dashboard.app_template_filter("taking")
def taking(value_s: float | None) -> str:
    """Format a duration in seconds: `320 ms`, `1.4 s`, `3 min`, `2 h`; a dash for None."""
    if value_s is None:
        return "–"
    if value_s < 1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 60:
        return f"{value_s:.2g} s" if value_s < 10 else f"{value_s:.0f} s"
    if value_s < 3600:
        return f"{value_s / 60:.0f} min"
    return f"{value_s / 3600:.0f} h"


@dashboard.app_template_filter("hour_of")
def hour_of(at: datetime) -> str:
    """Format hour and minute in the site's zone: `14:00`."""
    return at.astimezone(ZoneInfo(hub().configuration.site.timezone)).strftime("%H:%M")


def _chart(
    hours: Sequence[HourFigures],
    parts: Callable[[HourFigures], Sequence[BarPart]],
    words: Callable[[HourFigures], str],
    up: Sequence[Tick],
) -> Chart:
    bars = [
        Bar(LEFT + n * STEP + GAP / 2, parts(hour), f"{hour_of(hour.start_at)}: {words(hour)}")
        for n, hour in enumerate(hours)
    ]
    across = [
        Tick(LEFT + n * STEP + STEP / 2, hour_of(hour.start_at))
        for n, hour in enumerate(hours)
        if n % EACH_HOURS == (len(hours) - 1) % EACH_HOURS
    ]
    return Chart(bars, across, up, width=LEFT + len(hours) * STEP + RIGHT)


def _marks(least: float, most: float) -> list[float]:
    """Return the axis marks that enclose the values; two at least."""
    below = [mark for mark in _TIMES_S if mark <= least][-1:] or [_TIMES_S[0]]
    above = [mark for mark in _TIMES_S if mark > most][:1] or [_TIMES_S[-1]]
    return [mark for mark in _TIMES_S if below[0] <= mark <= above[0]]


def _round_up(count: int) -> int:
    """Round a count up to a round, even number, so that its half can be a mark too."""
    size = 10 ** (len(str(count)) - 1)
    steps = (1, 2, 4, 5, 6, 8, 10)
    found = next(size * step for step in steps if size * step >= count)
    return int(found + found % 2)
