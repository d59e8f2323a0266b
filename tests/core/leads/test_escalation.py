"""Escalation of unacknowledged leads: order, timing, no repetition, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from hub.core.events.projections import project_some
from hub.core.ids import new_id
from hub.core.leads.acknowledgement import NOBODY_TOOK_IT, acknowledge, taken_lead
from hub.core.leads.assignment_rules import Rule
from hub.core.leads.escalation import escalate
from hub.core.leads.people import Absence
from hub.core.leads.working_hours import parse_hours
from hub.core.models import (
    Acknowledgement,
    Alert,
    AuditEntry,
    Delivery,
    LeadNotification,
    StoredEvent,
)
from hub.core.monitoring import alerts
from hub.core.replays.replay import preview_deliveries, replay_deliveries
from tests.core.leads.office import DANA, LEE, SAM, Desk, tell
from tests.core.making import NOW, route

# More parameters than SQLite takes in one statement.
MORE_THAN_SQLITE_TAKES = 33_000


def phone(slug: str) -> str:
    return {"dana": DANA, "lee": LEE, "sam": SAM}[slug].phone or ""


def told_next(desk: Desk) -> list[str]:
    """Move the waiting time into the past; return the phone numbers that are notified then."""
    desk.tick()
    desk.pass_time()
    desk.tick()
    sent = [one["to"] for one in desk.work()]
    desk.end()
    return sent


def take(desk: Desk, event_id: Any, slug: str | None = "lee", how: str = "command") -> Any:
    with desk.database.write() as connection:
        person = desk.office.people.get(slug or "")
        return acknowledge(connection, event_id, person, how=how, actor="me", now=NOW)


def open_alerts(desk: Desk) -> set[str]:
    with desk.database.read() as connection:
        return alerts.subjects(connection, NOBODY_TOOK_IT)


def test_one_after_the_other_is_told_and_then_there_is_an_alert(desk) -> None:
    event_id = desk.lead()
    assert desk.work() == [{"to": phone("dana"), "lead": "Jane"}]
    desk.end()
    assert told_next(desk) == [phone("lee")]
    assert told_next(desk) == [phone("sam")]
    assert open_alerts(desk) == set()
    assert told_next(desk) == []
    assert open_alerts(desk) == {f"event {event_id}"}
    assert told_next(desk) == []
    assert desk.told() == ["dana", "lee", "sam"]
    routes = [row.route for row in desk.rows(Delivery, Delivery.created_at)]
    assert routes == ["tell", "hub:escalate:tell:1", "hub:escalate:tell:2"]


def test_nobody_else_is_told_before_the_time_is_over(desk) -> None:
    desk.lead()
    assert desk.tick() == 0  # the notification has not been sent yet
    desk.work()
    assert desk.tick() == 0  # the notification is being sent
    desk.end(minutes_ago=9.5)
    assert desk.tick() == 0
    with desk.database.write() as connection:
        connection.execute(update(LeadNotification).values(due_at=None))
        earlier = desk.rows(Delivery)[0].finished_at - timedelta(minutes=1)
        connection.execute(update(Delivery).values(finished_at=earlier))
    assert desk.tick() == 1


@pytest.mark.parametrize(
    ("state", "values"),
    [("failed", {}), ("succeeded", {"status": "undelivered"}), ("skipped", {"error": "cap"})],
)
def test_when_somebody_was_not_reached_the_next_one_is_told_at_once(desk, state, values) -> None:
    desk.lead()
    desk.work()
    desk.end(state, **values)
    assert desk.tick() == 1
    assert desk.told() == ["dana", "lee"]


def test_a_cap_that_keeps_a_telling_back_holds_for_the_next_one_too(desk) -> None:
    """Told at once, each lead of a flood would use the next person's text as well."""
    desk.lead()
    desk.work()
    desk.end("skipped", error="cap: 60 in 1h to your own people", minutes_ago=9.5)
    assert desk.tick() == 0
    desk.pass_time()
    assert desk.tick() == 1
    assert desk.told() == ["dana", "lee"]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (["succeeded"] * 3, "has told dana, lee, sam, and nobody took it: look"),
        (
            ["skipped", "succeeded", "skipped"],
            "has told lee, could not reach dana, sam, and nobody took it: look",
        ),
        (["skipped", "failed", "skipped"], "could not reach dana, lee, sam: look"),
    ],
)
def test_the_alert_names_as_told_only_those_who_were(desk, ends, expected) -> None:
    desk.lead()
    for end in ends:
        desk.work()
        desk.end(end)
        desk.tick()
        desk.pass_time()
        desk.tick()
    [alert] = desk.rows(Alert)
    assert alert.message.startswith(f"route tell {expected}")


def test_a_text_that_turns_out_to_be_undelivered_is_followed_at_once(desk) -> None:
    desk.lead()
    desk.work()
    desk.end()
    assert desk.tick() == 0
    with desk.database.write() as connection:
        connection.execute(update(Delivery).values(status="undelivered"))
    assert desk.tick() == 1


def test_a_telling_that_cannot_be_written_is_followed_at_once(desk) -> None:
    desk.office.people = desk.office.people | {"dana": replace(DANA, phone=None)}
    desk.lead()
    assert desk.work() == []
    assert desk.tick() == 1
    assert [one["to"] for one in desk.work()] == [phone("lee")]


def test_an_outcome_that_nobody_knows_is_waited_for_as_if_it_were_told(desk) -> None:
    desk.lead()
    desk.work()
    desk.end("unknown", minutes_ago=5)
    assert desk.tick() == 0
    desk.pass_time()
    assert desk.tick() == 1


def test_who_took_the_lead_ends_it(desk) -> None:
    event_id = desk.lead()
    desk.work()
    desk.end()
    take(desk, event_id)
    assert told_next(desk) == []
    assert desk.told() == ["dana"]
    assert open_alerts(desk) == set()


def test_a_telling_that_waits_when_the_lead_is_taken_is_not_sent(desk) -> None:
    event_id = desk.lead()
    desk.work()
    desk.end(minutes_ago=11)
    assert desk.tick() == 1
    take(desk, event_id)
    assert desk.work() == []
    last = desk.rows(Delivery, Delivery.created_at)[-1]
    assert (last.state, last.error) == ("skipped", "cancelled: somebody took the lead")


def test_two_clocks_tell_one_person_once(desk) -> None:
    for n in range(5):
        desk.lead(f"e{n}")
    desk.work()
    desk.end(minutes_ago=11)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: desk.tick(), range(8))) == 5
    assert sorted(desk.told()) == ["dana"] * 5 + ["lee"] * 5
    assert len(desk.rows(Delivery)) == 10


def test_a_clock_that_is_killed_in_between_has_done_nothing(desk) -> None:
    desk.lead()
    desk.work()
    desk.end(minutes_ago=11)

    class Killed(Exception):
        pass

    with pytest.raises(Killed), desk.database.write() as connection:  # noqa: PT012
        assert escalate(connection, desk.office, most=9, now=NOW) == 1
        raise Killed
    assert desk.told() == ["dana"]
    assert desk.tick() == 1
    assert desk.tick() == 0
    assert desk.told() == ["dana", "lee"]


def test_a_replay_of_the_telling_starts_nothing_anew(desk) -> None:
    desk.lead()
    desk.work()
    desk.end("failed")
    assert [told_next(desk) for _ in range(3)] == [[phone("lee")], [phone("sam")], []]
    with desk.database.write() as connection:
        planned = preview_deliveries(connection, desk.office, {"route": "tell"}, again=True)
        replay_deliveries(connection, desk.office, planned, actor="me", now=NOW, reason="x")
    assert [one["to"] for one in desk.work()] == [phone("dana")]
    desk.end(minutes_ago=60)
    assert told_next(desk) == []
    assert desk.told() == ["dana", "lee", "sam"]


def test_those_on_duty_come_first_and_who_is_away_not_at_all(desk) -> None:
    today = NOW.date()
    night = parse_hours("22:00-23:00")
    pat = replace(SAM, slug="pat", phone="+12025550104")
    kim = replace(SAM, slug="kim", phone="+12025550105", away=(Absence(today, today),))
    desk.office.people = {
        one.slug: one for one in (DANA, replace(LEE, hours=night), kim, SAM, pat)
    }  # fmt: skip
    desk.office.rules = (Rule(to=("dana", "lee", "kim", "sam")), Rule(to=("pat",)))
    desk.lead()
    desk.work()
    desk.end()
    for _ in range(4):
        told_next(desk)
    assert desk.told() == ["dana", "sam", "pat", "lee"]
    assert len(open_alerts(desk)) == 1


def test_what_the_file_says_no_more_is_not_done(desk) -> None:
    desk.lead()
    desk.work()
    desk.end(minutes_ago=11)
    desk.office.routes = [tell(escalate_after_s=None)]
    assert desk.tick() == 0
    assert desk.told() == ["dana"]
    assert open_alerts(desk) == set()


def test_a_route_that_is_gone_leaves_an_alert(desk) -> None:
    event_id = desk.lead()
    desk.work()
    desk.end(minutes_ago=11)
    desk.office.routes = []
    assert desk.tick() == 0
    assert open_alerts(desk) == {f"event {event_id}"}


def test_the_first_to_take_a_lead_has_it_and_it_is_audited_once(desk) -> None:
    event_id = desk.lead()
    desk.work()
    desk.end()
    for _ in range(4):
        told_next(desk)
    assert open_alerts(desk) == {f"event {event_id}"}
    assert take(desk, event_id, "lee").is_new
    second = take(desk, event_id, "dana", "link")
    assert (second.person, second.how, second.is_new) == ("lee", "command", False)
    assert open_alerts(desk) == set()
    [entry] = desk.rows(AuditEntry)
    assert (entry.action, entry.subject) == ("lead.acknowledge", f"event {event_id}")
    assert entry.detail == {"person": "lee", "how": "command"}


def test_an_alert_that_began_as_the_lead_was_taken_ends(desk) -> None:
    event_id = desk.lead()
    take(desk, event_id)
    with desk.database.write() as connection:
        alerts.begin(connection, NOBODY_TOOK_IT, f"event {event_id}", "x", now=NOW)
    desk.tick()
    assert open_alerts(desk) == set()
    assert len(desk.rows(Alert)) == 1


def text(desk: Desk, id: str, sender: str, body: str = "1", *, minutes_ago: float = 0) -> None:
    """Ingest and project a text that was written some time ago."""
    arrive(desk, id, sender, body, minutes_ago=minutes_ago)
    read(desk)


def arrive(desk: Desk, id: str, sender: str, body: str = "1", *, minutes_ago: float = 0) -> None:
    """Ingest a text that was written some time ago."""
    with desk.database.write() as connection:
        data = {"from": sender, "to": "+15005550006", "body": body, "phone": sender}
        desk.office.take_in(connection, {"id": id, "type": "sms.received", "data": data})
        written_at = NOW - timedelta(minutes=minutes_ago)
        mine = StoredEvent.external_id == id
        connection.execute(update(StoredEvent).where(mine).values(occurred_at=written_at))


def read(desk: Desk) -> None:
    for _ in range(2):
        with desk.database.write() as connection:
            project_some(connection, desk.office, most=10, now=NOW)


@pytest.mark.parametrize("body", ["1", " 1. ", "ok", "OK!", "Yes", "yes."])
def test_a_reply_takes_the_newest_lead_that_its_sender_was_told_of(desk, body) -> None:
    first, second = desk.lead("e1"), desk.lead("e2")
    desk.work()
    desk.end()
    text(desk, "s1", phone("dana"), body)
    [taken_one] = desk.rows(Acknowledgement, Acknowledgement.at)
    assert (taken_one.event_id, taken_one.person, taken_one.how) == (second, "dana", "reply")
    text(desk, "s2", phone("dana"), body)
    assert {row.event_id for row in desk.rows(Acknowledgement, Acknowledgement.at)} == {
        first, second,
    }  # fmt: skip
    assert len(desk.rows(AuditEntry)) == 2
    assert all(row.folded for row in desk.rows(StoredEvent) if row.type == "sms.received")


def test_other_texts_and_other_senders_take_nothing(desk) -> None:
    desk.lead()
    desk.work()
    desk.end()
    text(desk, "s1", phone("dana"), "1 of them called me")
    text(desk, "s2", phone("lee"))
    text(desk, "s3", "+12025559999")
    assert desk.rows(Acknowledgement, Acknowledgement.at) == []


def test_somebody_who_was_told_before_may_still_take_it(desk) -> None:
    event_id = desk.lead()
    desk.work()
    desk.end(minutes_ago=11)
    desk.tick()
    text(desk, "s1", phone("lee"))  # has still to be notified
    assert desk.rows(Acknowledgement, Acknowledgement.at) == []
    text(desk, "s2", phone("dana"))
    with desk.database.read() as connection:
        found = taken_lead(connection, event_id)
    assert found is not None
    assert found.person == "dana"
    assert desk.work() == []


def test_a_reply_written_before_a_lead_was_told_of_does_not_take_it(desk) -> None:
    desk.lead()
    desk.work()
    desk.end()
    text(desk, "s1", phone("dana"), minutes_ago=1)  # read late, or listed after an outage
    assert desk.rows(Acknowledgement, Acknowledgement.at) == []
    text(desk, "s2", phone("dana"))
    assert len(desk.rows(Acknowledgement, Acknowledgement.at)) == 1


def test_a_reply_to_a_lead_that_somebody_else_took_takes_no_older_one(desk) -> None:
    older = desk.lead("e1")
    desk.work()
    newer = desk.lead("e2")
    desk.work()
    desk.end()
    take(desk, newer, "lee")
    text(desk, "s1", phone("dana"))
    with desk.database.read() as connection:
        assert taken_lead(connection, older) is None
    assert told_next(desk) == [phone("lee")]


def test_a_reply_counts_when_a_route_asked_for_its_contact_first(desk) -> None:
    with_ = {"body": {"to": "{{ contact.phone }}"}}
    desk.office.routes = [tell(), route("texts", on=("sms.received",), with_=with_)]
    event_id = desk.lead()
    desk.work()
    desk.end()
    arrive(desk, "s1", phone("dana"))
    assert desk.work() == [{"to": phone("dana")}]
    read(desk)
    with desk.database.read() as connection:
        found = taken_lead(connection, event_id)
    assert found is not None
    assert found.person == "dana"


def test_a_year_of_leads_that_nobody_took_does_not_stop_the_clock(desk) -> None:
    with desk.database.write() as connection:
        began_at = NOW - timedelta(days=30)
        said = [
            {"id": new_id(NOW), "kind": NOBODY_TOOK_IT, "subject": f"event {new_id(NOW)}",
             "message": "x", "began_at": began_at}
            for _ in range(MORE_THAN_SQLITE_TAKES)
        ]  # fmt: skip
        connection.execute(insert(Alert), said)
    desk.lead()
    desk.work()
    desk.end()
    assert told_next(desk) == [phone("lee")]
