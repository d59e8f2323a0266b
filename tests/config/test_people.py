"""`people`, `assign`, `escalate` and `site.holidays`: the parsed values and the faults."""

from datetime import date
from pathlib import Path

import pytest

from hub.config.people import PublicHolidays
from hub.core.leads.assignment_rules import Area
from hub.core.leads.on_call import gaps
from hub.core.leads.people import Absence
from tests.config.test_errors import HOLIDAYS, faults_of
from tests.config.test_load import load

DATES = "expected a date like 2026-12-24, or a range like 2026-12-24..2027-01-02"
PHONE = "expected a number with its country, like +12025550123, in quotes"
LAST = (
    "the last rule must always match, so that every lead finds somebody: it may have no "
    "`when`, no `area` and no `within_hours`; add a rule like `- {to: [somebody]}`"
)
ACCOUNTS = "destinations: {ops: {adapter: http, url: https://example.org}}\n"
FORM = "sources:\n  contact:\n    adapter: form\n    fields: {zip: {}}\n"
TEAM = """people:
  dana: {name: Dana, phone: "+12025550101", email: dana@acme.example}
  lee: {name: Lee, phone: "+12025550102"}
assign:
  sales:
    - {to: [dana], area: ["224*", 22551-22556], within_hours: yes, pick: weighted}
    - {to: lee}
"""


def person(keys: str) -> str:
    return f"people:\n  dana:\n    name: Dana\n    {keys}\n"


def rules(*lines: str) -> str:
    people = "people: {dana: {name: Dana}, lee: {name: Lee}}\nassign:\n  sales:\n"
    return people + "".join(f"    - {line}\n" for line in lines)


def route(
    keys: str, *, assign: str = "    assign: sales\n", body: str = "{{ owner.phone }}"
) -> str:
    """Return a file whose route begins in line 14, or in 13 if the source has no list."""
    text = TEAM + FORM + assign + ACCOUNTS
    return f"{text}routes:\n  tell:\n    on: lead.submitted\n    do: ops.post\n" + (
        f'    with: {{body: "{body}"}}\n    {keys}\n'
    )


def test_people_rules_and_escalation_are_read(tmp_path: Path) -> None:
    text = route("escalate: {after: 10m, to: next}").replace(
        "lee: {name: Lee,", "lee: {name: Lee, hours: 'Mon 08:00-09:00', weight: 3, "
        "away: [2026-12-24, 2026-12-30..2027-01-02],",
    )  # fmt: skip
    found = load(tmp_path, text)
    dana, lee = found.people["dana"], found.people["lee"]
    assert (dana.name, dana.phone, dana.email, dana.hours, dana.weight) == (
        "Dana", "+12025550101", "dana@acme.example", None, 1,
    )  # fmt: skip
    assert lee.weight == 3
    assert lee.away == (
        Absence(date(2026, 12, 24), date(2026, 12, 24)),
        Absence(date(2026, 12, 30), date(2027, 1, 2)),
    )
    first, last = found.assign["sales"]
    assert (first.to, first.pick, first.within_hours) == (("dana",), "weighted", True)
    assert first.areas == (Area("224*"), Area("22551", "22556"))
    assert last.always_matches
    assert found.sources["contact"].assign == "sales"
    assert found.routes["tell"].escalate_after_s == 600
    assert "12025550101" not in repr(found)


def test_holidays_are_dates_or_those_of_a_country_or_a_part_of_one(tmp_path: Path) -> None:
    listed = load(tmp_path, "site: {holidays: [2026-12-24..2026-12-26, 2027-01-01]}").site.holidays
    assert [day for day in range(22, 32) if date(2026, 12, day) in listed] == [24, 25, 26]
    assert date(2027, 1, 1) in listed
    usa = load(tmp_path, "site: {holidays: us}").site.holidays
    new_york = load(tmp_path, "site: {holidays: US-NY}").site.holidays
    assert isinstance(usa, PublicHolidays)
    for holidays in (usa, new_york):
        assert date(2026, 7, 3) in holidays  # observed: the fourth is a Saturday
        assert date(2031, 12, 25) in holidays
        assert date(2026, 11, 20) not in holidays
    assert date(2026, 2, 12) in new_york  # Lincoln's birthday
    assert date(2026, 2, 12) not in usa


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (person("phone: '12025550101'"), f"4: people.dana.phone: {PHONE}"),
        (person("phone: +1 202 555 0101"), f"4: people.dana.phone: {PHONE}"),
        (person("phone: '+1202555010'"),
         "4: people.dana.phone: there is no such number: it has too many digits, or too few"),
        (person("email: dana"),
         "4: people.dana.email: expected an e-mail address like dana@example.org"),
        (person("hours: 9-5"), "4: people.dana.hours: expected hours like Mon-Fri 08:00-18:00, "
         "Sat 09:00-12:00"),
        (person("hours: [Mon]"), "4: people.dana.hours: expected hours like Mon-Fri 08:00-18:00, "
         "Sat 09:00-12:00"),
        (person("away: [2026-12-24,\n      2026-02-30]"), f"5: people.dana.away.1: {DATES}"),
        (person("away: 2026-12-24..2026-12-01"), f"4: people.dana.away: {DATES}"),
        (person("weight: 0"), "4: people.dana.weight: expected a whole number from 1 to 100"),
        (person("fone: 1"), "4: people.dana.fone: unknown key `fone`; did you mean `phone`?"),
        ("people: {dana: {}}\n", "1: people.dana.name: is required"),
        ("site:\n  holidays: XX\n",
         f"2: site.holidays: the holidays of `XX` are not known; {HOLIDAYS}"),
        ("site:\n  holidays: US-ZZ\n", f"2: site.holidays: `US` has no part `ZZ`; {HOLIDAYS}"),
        ("site:\n  holidays:\n  - 2026-12-24\n  - soon\n", f"4: site.holidays.1: {HOLIDAYS}"),
        (rules("{to: [dana]}", "{to: [lee], within_hours: true}"), f"5: assign.sales.1: {LAST}"),
        (rules("{to: [lee], when: data.x}"), f"4: assign.sales.0: {LAST}"),
        (rules("{to: [lee], area: '1*'}"), f"4: assign.sales.0: {LAST}"),
        (rules("{to: [le]}"), "4: assign.sales.0.to.0: there is nobody `le` under `people`; "
         "did you mean `lee`?"),
        (rules("{when: 'contact.email', to: lee}", "{to: lee}"),
         "4: assign.sales.0.when: `contact` is "
         "not known when a lead is given to somebody; there are data, event, site"),
        (rules("{when: 'owner.slug', to: lee}", "{to: lee}"), "4: assign.sales.0.when: `owner` "
         "is not known when a lead is given to somebody; there are data, event, site"),
        (rules("{area: ['9-1'], to: lee}", "{to: lee}"), "4: assign.sales.0.area.0: a range goes "
         "from the lower to the higher, with as many digits"),
        (rules("{area_field: plz, to: lee}"), "4: assign.sales.0.area_field: names a field for "
         "`area`, which is not there"),
        (rules("{to: lee, pick: any}"), "4: assign.sales.0.pick: expected first or least_recent or "
         "weighted"),
        (rules("lee"), "4: assign.sales.0: expected a mapping with `to: [people]`"),
        ("assign: {sales: []}\n", "1: assign.sales: expected a list of rules"),
        (route("", assign="    assign: sale\n"), "12: sources.contact.assign: there is no list "
         "`sale` under `assign`; did you mean `sales`?"),
        (route("", assign=""), "14: routes.tell.assign: no `assign` on this source or route, so "
         "`owner` would be nobody: give one to the route, or to the source `contact`"),
        (route("", body="{{ owner.email }}"), "18: routes.tell.with: uses owner.email, and `lee` "
         "under `people` has none"),
        (route("escalate: {after: 10}"), "19: routes.tell.escalate.after: a duration needs a unit: "
         "10s 10m 10h 10d"),
        (route("escalate: {to: next}"), "19: routes.tell.escalate.after: is required"),
        (route("escalate: {after: 10m, to: all}"), "19: routes.tell.escalate.to: expected next"),
        (route("escalate: {after: 10m}", body="x"),
         "19: routes.tell.escalate: nobody else would be told: `with` does not name `owner`"),
        (route("assign: other"),
         "19: routes.tell.assign: there is no list `other` under `assign`; "
         "expected one of sales"),
    ],
)  # fmt: skip
def test_a_fault_says_its_line_and_what_was_expected(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert faults_of(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        route("assign: sales", assign=""),
        route("", body="{{ owner.email | default('') }}"),
        route("from: [contact]"),
        route("", assign="").replace("on: lead.submitted", "on: payment.succeeded"),
    ],
)
def test_what_can_be_answered_is_no_fault(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, text).routes["tell"]


def test_an_hour_in_which_only_the_last_rule_is_left_is_known(tmp_path: Path) -> None:
    day = "people: {dana: {name: D, hours: 'Mon-Sun 08:00-18:00'}, lee: {name: L%s}}\n"
    lists = "assign: {s: [{to: [dana, lee], within_hours: true}, {to: lee}], t: [{to: dana}]}\n"
    night = ", hours: 'Mon-Sat 18:00-08:00'"
    assert list(gaps(load(tmp_path, day % "" + lists))) == []
    assert list(gaps(load(tmp_path, day % night + lists))) == [("s", "Mon 00:00")]
