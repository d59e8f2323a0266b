"""Assignment rules (`assign` in hub.yaml): matches a lead and picks one of the rule's people.

Pure decisions: earlier assignments are read through `Rotation`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from math import gcd
from typing import Any, Protocol

from hub.core.errors import ExpressionError
from hub.core.expressions.templates import Condition
from hub.core.leads.people import Person
from hub.core.leads.working_hours import Calendar

AREA_FIELDS = ("postcode", "zip", "postal_code")
PICKS = ("first", "least_recent", "weighted")

_PREFIX = re.compile(r"[0-9A-Z-]+\*")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_EXACT = re.compile(r"[0-9A-Z]+(?:-[0-9A-Z]+)?")
_MOST_DIGITS = 9
_ZIP_PLUS_4 = re.compile(r"([0-9]{5})-?[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Area:
    """Postcode pattern: a prefix (`first` ends in `*`), a range `first` to `last`, or one code.

    `last` is None except for a range.
    """

    first: str
    last: str | None = None

    def holds(self, postcode: str) -> bool:
        """Return whether the area contains a postcode, normalized as by `postcodes`."""
        if self.last is not None:
            fits = postcode.isascii() and postcode.isdigit() and len(postcode) == len(self.first)
            return fits and self.first <= postcode <= self.last
        if self.first.endswith("*"):
            return postcode.startswith(self.first[:-1])
        return postcode == self.first


@dataclass(frozen=True, slots=True)
class Rule:
    """Assignment rule of a list. Empty `areas` match any place.

    `area_field` names the form field with the postcode, in place of `AREA_FIELDS`.
    """

    to: tuple[str, ...]
    when: Condition | None = None
    areas: tuple[Area, ...] = ()
    area_field: str | None = None
    pick: str = "first"
    within_hours: bool = False

    @property
    def always_matches(self) -> bool:
        return self.when is None and not self.areas and not self.within_hours

    def meets(self, context: Mapping[str, Any]) -> bool:
        """Return whether the rule matches a lead; a condition that raises an error does not."""
        if self.areas and not self._is_in_area(context["data"].get("fields")):
            return False
        try:
            return self.when is None or self.when.holds(context)
        except ExpressionError:
            return False

    def _is_in_area(self, fields: Any) -> bool:
        names = (self.area_field,) if self.area_field else AREA_FIELDS
        given = [fields.get(name) for name in names] if isinstance(fields, Mapping) else []
        return any(
            area.holds(code) for value in given for code in postcodes(value) for area in self.areas
        )


class Rotation(Protocol):
    """Rotation: the earlier assignments of a list, by person."""

    def last_turns(self, people: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each person's last assignment; higher is later, 0 is none."""

    def turns_among(self, people: Sequence[str], most: int) -> Mapping[str, int]:
        """Count assignments per person among the last `most` assignments of all these people."""


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """Rule match: the person picked, the number of the rule (from 1), and the reason in words."""

    person: Person
    rule: int
    why: str


def choose(
    rules: Sequence[Rule],
    people: Mapping[str, Person],
    context: Mapping[str, Any],
    *,
    now: datetime,
    calendar: Calendar,
    turns: Rotation,
) -> RuleMatch:
    """Return the match of the first rule that the lead meets and that has a person available.

    The last rule always matches: if all of its people are away, it picks among them all the same.

    Raises:
        ValueError: `rules` is empty.
    """
    for number, rule in enumerate(rules, 1):
        is_last = number == len(rules)
        if not is_last and not rule.meets(context):
            continue
        named = [people[slug] for slug in rule.to]
        there = [one for one in named if not one.is_away(now, calendar)]
        if rule.within_hours:
            there = [one for one in there if one.is_on_duty(now, calendar)]
        if there:
            picked, how = _pick(rule.pick, there, turns)
            at_work = " on duty" if rule.within_hours else ""
            last = ", the last one" if is_last and number > 1 else ""
            return RuleMatch(picked, number, f"rule {number}{last}: {how}{at_work}")
        if is_last:
            picked, _ = _pick(rule.pick, named, turns)
            said = "all of its people are away, and somebody has to be told"
            return RuleMatch(picked, number, f"rule {number}, the last one: {said}")
    raise ValueError("an assign list has no rules")


def _pick(pick: str, there: Sequence[Person], turns: Rotation) -> tuple[Person, str]:
    slugs = [one.slug for one in there]
    of = f"of {', '.join(slugs)}"
    if len(there) == 1:
        return there[0], f"{slugs[0]} is the one"
    if pick == "least_recent":
        last = turns.last_turns(slugs)
        return min(there, key=lambda one: last.get(one.slug, 0)), f"the longest without a lead {of}"
    if pick == "weighted":
        shares = _shares(there)
        had = turns.turns_among(slugs, sum(shares.values()) - 1)
        picked = min(there, key=lambda one: had.get(one.slug, 0) / shares[one.slug])
        return picked, f"the furthest behind their share {of}"
    return there[0], f"the first {of}"


def _shares(people: Sequence[Person]) -> dict[str, int]:
    divisor = reduce(gcd, (one.weight for one in people))
    return {one.slug: one.weight // divisor for one in people}


def successors(rules: Sequence[Rule], number: int, person: str) -> Iterator[str]:
    """Yield the escalation order after a person: the rest of their rule, then the whole list."""
    mine = rules[number - 1].to if 0 < number <= len(rules) else ()
    at = mine.index(person) + 1 if person in mine else 0
    others = (slug for rule in rules for slug in rule.to)
    yield from dict.fromkeys(slug for slug in (*mine[at:], *mine[:at], *others) if slug != person)


def everybody(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return the slugs of all people of a list, each once, in the order of hub.yaml."""
    return tuple(dict.fromkeys(slug for rule in rules for slug in rule.to))


def parse_area(text: str) -> Area:
    """Parse an area: `224*`, `22551-22556` or `22551`.

    Raises:
        ValueError: the text is none of these; the message says what was expected.
    """
    plain = _plain(text)
    if _PREFIX.fullmatch(plain):
        return Area(plain)
    first, _, last = plain.partition("-")
    if _RANGE.fullmatch(plain) and (len(first) == len(last) or len(plain) > _MOST_DIGITS + 1):
        if len(first) != len(last) or first > last:
            raise ValueError("a range goes from the lower to the higher, with as many digits")
        return Area(first, last)
    # Hyphens are allowed: 00-950 and 22551-1234 are postcodes too.
    if not _EXACT.fullmatch(plain):
        raise ValueError("expected a postcode, a beginning like 224* or a range like 22551-22556")
    return Area(plain)


def postcodes(value: Any) -> Iterator[str]:
    """Yield a typed postcode in the normal form of areas; for a ZIP+4, also its five digits."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return
    plain = _plain(str(value)[:100])
    if plain:
        yield plain
    if match := _ZIP_PLUS_4.fullmatch(plain):
        yield match[1]


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()
