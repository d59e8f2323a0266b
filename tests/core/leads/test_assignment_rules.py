"""Assignment rules: areas, conditions, picks; every lead finds an owner."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.expressions.templates import Condition, Scope
from hub.core.leads.assignment_rules import Rule, RuleMatch, choose, parse_area, successors
from hub.core.leads.people import Absence, Person
from hub.core.leads.working_hours import Calendar, parse_hours

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)  # a Friday, 12:00 in New York
NIGHT = datetime(2026, 11, 21, 5, tzinfo=UTC)
CALENDAR = Calendar(ZoneInfo("America/New_York"))
DANA = Person("dana", "Dana", hours=parse_hours("Mon-Fri 08:00-18:00"), weight=2)
LEE = Person("lee", "Lee")
AWAY = Person("kim", "Kim", away=(Absence(date(2026, 11, 1), date(2026, 11, 30)),))
PEOPLE = {one.slug: one for one in (DANA, LEE, AWAY)}


class Had:
    """Assignment history, as a list of people in order."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def last_turns(self, people: Sequence[str]) -> Mapping[str, int]:
        return {slug: n for n, slug in enumerate(self.turns, 1)}

    def turns_among(self, people: Sequence[str], most: int) -> Mapping[str, int]:
        latest = [slug for slug in self.turns if slug in people]
        return Counter(latest[-most:] if most else [])


def ask(
    rules: Sequence[Rule], fields: dict[str, Any], now: datetime = NOON, had: Had | None = None
) -> RuleMatch:
    context = {"data": Scope("data", {"fields": fields}), "event": Scope("event", {}),
               "site": Scope("site", {})}  # fmt: skip
    return choose(rules, PEOPLE, context, now=now, calendar=CALENDAR, turns=had or Had())


@pytest.mark.parametrize(
    ("area", "inside", "outside"),
    [
        ("224*", ["22401", "224", "22 401", "２２４０１", 22401],
         ["22301", "1224", "", None, True]),
        ("22551-22556", ["22551", "22556", "22553-1234", "225531234", 22554],
         ["22550", "22557", "2255", "225530", "2255x", [22551], {}]),
        ("00501-00544", ["00501", "00544"], ["501", 501]),
        ("22551", ["22551", "22551-0001", " 22551 "], ["22552", "2255"]),
        ("SW1*", ["sw1a 1aa", "SW1"], ["SE1 7PB"]),
        ("SW1A 1AA", ["sw1a1aa"], ["sw1a1ab"]),
        ("00-950", ["00-950"], ["00950", "00"]),
        ("22551-1234", ["22551-1234"], ["22551"]),
    ],
)  # fmt: skip
def test_areas(area: str, inside: list[Any], outside: list[Any]) -> None:
    rules = [Rule(to=("dana",), areas=(parse_area(area),)), Rule(to=("lee",))]
    assert [one for one in inside if ask(rules, {"zip": one}).person is not DANA] == []
    assert [one for one in outside if ask(rules, {"zip": one}).person is not LEE] == []


@pytest.mark.parametrize("text", ["", "*", "2**", "22556-22551", "22551-225560", "a b,c", "-", "%"])
def test_what_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|a range"):
        parse_area(text)


@pytest.mark.parametrize("name", ["postcode", "zip", "postal_code"])
def test_the_postcode_has_several_names_unless_one_is_given(name: str) -> None:
    area = (parse_area("224*"),)
    rules = [Rule(to=("dana",), areas=area), Rule(to=("lee",))]
    named = [Rule(to=("dana",), areas=area, area_field="plz"), Rule(to=("lee",))]
    assert ask(rules, {name: "22401"}).person is DANA
    assert ask(named, {name: "22401"}).person is LEE
    assert ask(named, {"plz": "22401"}).person is DANA


def test_the_first_rule_that_holds_decides_and_is_named() -> None:
    gutters = Condition("data.fields.service == 'gutters'")
    rules = [Rule(to=("lee",), when=gutters), Rule(to=("dana",))]
    assert ask(rules, {"service": "gutters"}).rule == 1
    found = ask(rules, {"service": "roofing"})
    assert (found.person, found.rule, found.why) == (
        DANA,
        2,
        "rule 2, the last one: dana is the one",
    )


def test_a_condition_that_fails_does_not_hold_and_somebody_is_found_all_the_same() -> None:
    rules = [Rule(to=("dana",), when=Condition("data.fields.size > 3")), Rule(to=("lee",))]
    assert [ask(rules, fields).person for fields in ({"size": "x"}, {}, {"size": 4})] == [
        LEE, LEE, DANA,
    ]  # fmt: skip


def test_within_hours_who_is_not_at_work_is_passed_over() -> None:
    rules = [Rule(to=("dana",), within_hours=True), Rule(to=("lee",))]
    assert ask(rules, {}, NOON).person is DANA
    assert ask(rules, {}, NIGHT).person is LEE


def test_who_is_away_has_nothing_unless_nobody_else_is_left() -> None:
    assert ask([Rule(to=("kim",)), Rule(to=("kim", "lee"))], {}).person is LEE
    found = ask([Rule(to=("kim",)), Rule(to=("kim",))], {})
    assert found.person is AWAY
    assert "are away, and somebody has to be told" in found.why


def test_the_longest_without_a_lead_is_next() -> None:
    rules, had = [Rule(to=("dana", "lee"), pick="least_recent")], Had()
    for _ in range(6):
        had.turns.append(ask(rules, {}, had=had).person.slug)
    assert had.turns == ["dana", "lee"] * 3


@given(weights=st.lists(st.integers(1, 7), min_size=2, max_size=4), rounds=st.integers(1, 3))
def test_each_round_gives_everybody_their_share(weights: list[int], rounds: int) -> None:
    people = {f"p{n}": Person(f"p{n}", "P", weight=weight) for n, weight in enumerate(weights)}
    rules, had = [Rule(to=tuple(people), pick="weighted")], Had()
    for _ in range(rounds * sum(weights)):
        context = {"data": Scope("data", {})}
        found = choose(rules, people, context, now=NOON, calendar=CALENDAR, turns=had)
        had.turns.append(found.person.slug)
    share = Counter(had.turns)
    assert [share[f"p{n}"] for n in range(len(weights))] == [rounds * one for one in weights]


@given(data=st.data(), hour=st.integers(0, 366 * 24))
def test_somebody_is_always_found_among_those_of_a_rule(data: st.DataObject, hour: int) -> None:
    slugs = st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, unique=True).map(tuple)
    rule = st.builds(
        Rule,
        to=slugs,
        when=st.none() | st.just(Condition("data.fields.zip.x > 1")),
        areas=st.just(()) | st.just((parse_area("2*"),)),
        pick=st.sampled_from(["first", "least_recent", "weighted"]),
        within_hours=st.booleans(),
    )
    rules = [*data.draw(st.lists(rule, max_size=3)), Rule(to=data.draw(slugs))]
    fields = data.draw(st.dictionaries(st.sampled_from(["zip", "x"]), st.text() | st.none()))
    found = ask(rules, fields, NOON + timedelta(hours=hour))
    assert found.person.slug in rules[found.rule - 1].to


def test_after_somebody_come_the_rest_of_their_rule_and_then_all_others() -> None:
    rules = [Rule(to=("kim",)), Rule(to=("dana", "lee", "sam")), Rule(to=("lee", "pat"))]
    assert list(successors(rules, 2, "lee")) == ["sam", "dana", "kim", "pat"]
    assert list(successors(rules, 9, "gone")) == ["kim", "dana", "lee", "sam", "pat"]
