"""Assignment of a lead's owner: decided once under concurrency, and kept, on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from threading import Barrier
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from hub.core.expressions.templates import Scope
from hub.core.leads.acknowledgement import link_of
from hub.core.leads.assignment import AssignList, assign
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.owner_context import NO_ASSIGN
from hub.core.leads.working_hours import Calendar
from hub.core.models import Assignment, Delivery, LeadLink
from hub.core.replays.replay import preview_deliveries, replay_deliveries
from tests.core.leads.office import LEE, PUBLIC, Desk, tell
from tests.core.making import NOW, lease_of, route

PHONES = {"dana": "+12025550101", "lee": "+12025550102"}


def turns(desk: Desk, *slugs: str) -> AssignList:
    rules = (Rule(to=slugs, pick="least_recent"),)
    return AssignList("turns", rules, desk.office.people, Calendar(ZoneInfo("UTC")))


def give(desk: Desk, chosen_by: AssignList, event_id: UUID) -> str:
    with desk.database.write() as connection:
        return assign(connection, event_id, chosen_by, {"data": Scope("data", {})}, now=NOW).person


def test_fifty_leads_at_once_are_spread_evenly(desk) -> None:
    chosen_by = turns(desk, "dana", "lee")
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: give(desk, chosen_by, uuid4()), range(50)))
    assert Counter(given) == {"dana": 25, "lee": 25}
    in_turn = [row.person for row in desk.rows(Assignment, Assignment.n)]
    assert in_turn == ["dana", "lee"] * 25


def test_who_decides_one_lead_at_once_decides_it_once(desk) -> None:
    chosen_by = turns(desk, "dana", "lee")
    for _ in range(5):
        event_id, barrier = uuid4(), Barrier(4)

        def race(_: int, event_id: UUID = event_id, barrier: Barrier = barrier) -> str:
            barrier.wait()
            return give(desk, chosen_by, event_id)

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(race, range(4)))) == 1
    assert len(desk.rows(Assignment, Assignment.n)) == 5


def test_two_workers_that_claim_two_deliveries_of_a_lead_name_one_owner(desk) -> None:
    desk.office.destinations = ("ops", "crm")
    desk.office.source_assign = "turns"
    desk.office.routes = [tell(), tell("note", destination="crm", escalate_after_s=None)]
    for n in range(6):
        desk.lead(f"e{n}")
    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(desk.work, ("ops", "crm")))
    in_turn = [PHONES["lee"], PHONES["dana"]] * 3
    assert [[one["to"] for one in lane] for lane in sent] == [in_turn, in_turn]
    assert len(desk.rows(Assignment, Assignment.n)) == 6


def test_a_lead_stays_its_owner_s_through_a_replay_and_a_change_of_the_file(desk) -> None:
    desk.lead()
    assert desk.work() == [{"to": PHONES["dana"], "lead": "Jane"}]
    desk.end("failed")
    desk.office.rules = (Rule(to=("lee",)),)
    with desk.database.write() as connection:
        planned = preview_deliveries(connection, desk.office, {"route": "tell"}, again=True)
        assert replay_deliveries(connection, desk.office, planned, actor="me", now=NOW) == 1
    assert desk.work() == [{"to": PHONES["dana"], "lead": "Jane"}]
    [kept] = desk.rows(Assignment, Assignment.n)
    assert (kept.person, kept.name, kept.rule) == ("dana", "Dana", 1)


def test_what_a_claim_that_did_not_commit_decided_is_decided_anew(desk) -> None:
    desk.lead()

    class Killed(Exception):
        pass

    with pytest.raises(Killed), desk.database.write() as connection:  # noqa: PT012
        desk.office.claim(connection, lease_of(connection))
        raise Killed
    assert desk.rows(Assignment, Assignment.n) == []
    assert len(desk.work()) == 1
    assert len(desk.rows(Assignment, Assignment.n)) == 1


def test_an_owner_who_left_keeps_the_lead_and_the_name_and_the_delivery_says_so(desk) -> None:
    both = [tell(), route("name", with_={"body": "{{ owner.name }}"}, destination="crm")]
    desk.office.destinations, desk.office.routes = ("ops", "crm"), both
    desk.lead()
    desk.work()
    desk.end("failed")
    desk.office.people = {"lee": LEE, "sam": desk.office.people["sam"]}
    desk.office.rules = (Rule(to=("lee",)),)
    assert desk.work("crm") == ["Dana"]
    with desk.database.write() as connection:
        planned = preview_deliveries(connection, desk.office, {"route": "tell"})
        replay_deliveries(connection, desk.office, planned, actor="me", now=NOW)
    assert desk.work() == []
    [failed] = [row for row in desk.rows(Delivery) if row.route == "tell"]
    assert failed.state == "failed"
    assert "body.to: owner.phone is missing: `dana`, who has this lead, is not" in failed.error


def test_without_a_list_a_delivery_that_asks_for_an_owner_says_what_is_missing(desk) -> None:
    desk.office.source_assign = None
    desk.lead()
    assert desk.work() == []
    [failed] = desk.rows(Delivery)
    assert failed.error == f"it cannot be rendered: {NO_ASSIGN}"


def test_a_route_may_have_a_list_of_its_own(desk) -> None:
    desk.office.routes = [tell(), tell("other", assign="turns")]
    desk.lead()
    assert {one["to"] for one in desk.work()} == {PHONES["dana"], PHONES["lee"]}
    kept = desk.rows(Assignment, Assignment.assign)
    assert [(row.assign, row.person) for row in kept] == [("sales", "dana"), ("turns", "lee")]


def test_a_condition_may_ask_for_the_owner(desk) -> None:
    desk.office.routes = [tell(when="owner.slug == 'dana'"), tell("x", when="owner.slug == 'lee'")]
    desk.lead()
    assert len(desk.work()) == 1
    assert {row.route: row.error for row in desk.rows(Delivery)} == {"tell": None, "x": "condition"}


def test_a_link_is_made_for_one_lead_and_person_and_kept_as_a_digest(desk) -> None:
    desk.office.routes = [tell(with_={"body": "{{ owner.link }} {{ owner.link }}"})]
    event_id = desk.lead(name="Jane Doe")
    [body] = desk.work()
    first, second = body.split()
    assert first == second
    token = first.removeprefix(f"{PUBLIC}/a/")
    assert len(token) == 22
    [kept] = desk.rows(LeadLink, LeadLink.digest)
    assert kept.digest == sha256(token.encode()).digest()
    with desk.database.read() as connection:
        found = link_of(connection, token, now=NOW)
        assert found is not None
        assert (found.event_id, found.person, found.lead) == (event_id, "dana", "Jane Doe")
        assert link_of(connection, token[:-1] + "\x00", now=NOW) is None
        assert link_of(connection, "A" * 22, now=NOW) is None
        assert link_of(connection, token, now=NOW.replace(year=2027)) is None


def test_without_a_public_address_a_link_is_an_error_that_says_so_unless_there_is_a_default(
    desk,
) -> None:
    desk.office.public_url = None
    desk.office.routes = [
        tell(with_={"body": "{{ owner.link }}"}),
        tell("other", with_={"body": "x{{ owner.link | default('') }}"}),
    ]
    desk.lead()
    assert desk.work() == ["x"]
    [failed] = [row for row in desk.rows(Delivery) if row.state == "failed"]
    assert "owner.link is missing: the hub has no public address" in failed.error


def test_an_owner_without_a_phone_says_so(desk) -> None:
    desk.office.people = desk.office.people | {"dana": replace(LEE, slug="dana", phone=None)}
    desk.lead()
    assert desk.work() == []
    [failed] = desk.rows(Delivery)
    assert "owner.phone is missing: `dana` has none under `people`" in failed.error
