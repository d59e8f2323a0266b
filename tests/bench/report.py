"""Figures of a benchmark run: the value of each round, and the targets of docs/performance.md."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Target:
    """Target of a median: at least `bound`, or with `at_most` no more than it.

    Times and rates have none: only their ratio to something of the same run has.
    """

    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass
class Figure:
    """Table line with one value per round; without a target it is informational."""

    row: str
    name: str
    unit: str
    target: Target | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def passed(self) -> bool | None:
        return None if self.target is None else self.target.met(self.median)

    def as_json(self) -> str:
        """Return the figure as one line of JSON."""
        return json.dumps(
            {
                "row": self.row,
                "name": self.name,
                "unit": self.unit,
                "median": round(self.median, 4),
                "min": round(min(self.values), 4),
                "max": round(max(self.values), 4),
                "rounds": [round(value, 4) for value in self.values],
                "target": self.target and str(self.target),
                "passed": self.passed,
            },
            ensure_ascii=False,
        )


class Row:
    """Figures of one benchmark row, filled round by round."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.figures: dict[str, Figure] = {}

    def add(self, name: str, unit: str, value: float, target: Target | None = None) -> None:
        """Add a round's value to a figure."""
        figure = self.figures.setdefault(name, Figure(self.name, name, unit, target))
        figure.values.append(value)


def in_turn(subjects: Mapping[str, Callable[[], Measured]], number: int) -> dict[str, Measured]:
    """Measure every subject once, in round `number`, and return the results by name.

    Each round begins with another subject, so that none always has the quieter machine.
    """
    names = list(subjects)
    turn = number % len(names)
    return {name: subjects[name]() for name in names[turn:] + names[:turn]}


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a text table: medians over the rounds, and their spread."""
    lines = [("row", "what", "median", "min – max", "unit", "asked", "")]
    for figure in figures:
        spread = f"{_short(min(figure.values))} – {_short(max(figure.values))}"
        asked = str(figure.target or "")
        verdict = {None: "", True: "pass", False: "FAIL"}[figure.passed]
        median = _short(figure.median)
        lines.append((figure.row, figure.name, median, spread, figure.unit, asked, verdict))
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if n in (2, 3) else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
