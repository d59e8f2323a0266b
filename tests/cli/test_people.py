"""`hub people`, `hub acknowledge`, and the lines about owners in `hub check` and `hub show`."""

import pytest

from tests.cli.commanding import Desk

CONFIG = """
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"], assign: sales}
destinations:
  ops: {adapter: http, url: "http://127.0.0.1:1/ops", mode: sandbox}
people:
  dana: {name: Dana, phone: "+12025550101", hours: "Mon-Fri 08:00-18:00"}
  lee: {name: Lee, phone: "+12025550102", away: [2020-01-01..2090-01-01]}
assign:
  sales:
    - {to: [dana], within_hours: true}
    - {to: [lee]}
routes:
  tell:
    on: payment.succeeded
    live: any
    do: ops.post
    with: {body: "{{ owner.phone }} {{ owner.link | default('') }}"}
    escalate: {after: 10m}
"""


@pytest.fixture
def office(desk_anywhere: Desk) -> Desk:
    (desk_anywhere.folder / "hub.yaml").write_text(CONFIG)
    return desk_anywhere


def test_people_are_listed_with_what_they_have_to_do(office) -> None:
    dana, lee = office.json("people")
    assert (dana["person"], dana["name"], dana["away"]) == ("dana", "Dana", False)
    assert (lee["on_duty"], lee["away"]) == (False, True)
    assert (lee["last_assigned"], lee["open_leads"]) == (None, 0)
    assert "Mon-Fri 08:00-18:00" in office.run("people").out


def test_a_lead_is_acknowledged_once_and_shown(office) -> None:
    event_id = office.receive("evt_1")
    assert office.json("show", event_id)["owners"] == []
    first = office.json("acknowledge", event_id, "--person", "lee")
    assert (first["person"], first["how"], first["new"]) == ("lee", "command", True)
    again = office.run("acknowledge", event_id, "--person", "dana")
    assert again.out == "lee took it already, by command\n"
    assert office.json("show", event_id)["taken"]["person"] == "lee"
    assert "by lee, command" in office.run("show", event_id).out
    assert office.audited() == [("lead.acknowledge", None)]


def test_somebody_without_a_name_may_take_a_lead(office) -> None:
    event_id = office.receive("evt_1")
    assert office.run("acknowledge", event_id).out == "somebody has it; nobody else is told\n"


@pytest.mark.parametrize("who", ["kim", "\x1b[2J"])
def test_nobody_who_is_not_there_takes_a_lead(office, who) -> None:
    event_id = office.receive("evt_1")
    said = office.run("acknowledge", event_id, "--person", who)
    assert said.code == 1
    assert said.sentence.endswith("under `people`; there are dana, lee")
    assert "\x1b" not in said.sentence
    assert office.audited() == []


def test_a_lead_that_is_not_there_is_not_found(office) -> None:
    for wanted in ("01a1fc1d-2301-71ea-8e52-8a5d2d149a6d", "x"):
        assert office.run("acknowledge", wanted).code == 1


def test_check_says_whom_each_list_finds_and_when_it_falls_back(office) -> None:
    found = [(one["level"], one["message"]) for one in office.run("check", "--json").json
             if one["subject"] in ("assign sales", "route tell")]  # fmt: skip
    assert found == [
        ("ok", "2 rules: every lead finds somebody, at last lee"),
        ("note", "at Mon 00:00 nobody is on duty, the first such time of a week: the last rule "
         "names lee"),
        ("note", "uses owner.link, which needs HUB_PUBLIC_URL"),
    ]  # fmt: skip
