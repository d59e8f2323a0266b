"""`hub held`, `release`, `discard`."""

import os
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from adapters import InboundRequest
from hub.bootstrap import create_hub, prepare_store
from hub.core.inbound.ingest import ingest
from hub.core.leads.held import hold
from hub.settings import load_settings
from tests.far_end import FarEnd, Received, Reply
from tests.receiving import prepare

NOBODY = "01a1fc1d-2301-71ea-8e52-8a5d2d149a6d"
CONFIG = """
sources:
  contact: {adapter: form, fields: {name: {}, email: {type: email}}}
destinations:
  ops: {adapter: http, url: "http://127.0.0.1:1/ops", secret: "${OPS_SECRET}"}
routes:
  note: {on: lead.submitted, do: ops.post, with: {body: {name: "{{ data.name }}"}}}
"""
REASON = "honeypot: a field that people do not see was filled in"
RED = "\x1b[31mred"


@pytest.fixture
def office(desk_anywhere):
    (desk_anywhere.folder / "hub.yaml").write_text(CONFIG)
    return desk_anywhere


def keep(desk, name: str = "Jane", *, minute: int = 0, reason: str = REASON) -> str:
    """Hold a lead as the web process would; return its id."""
    hub = create_hub(load_settings(os.environ), os.environ)
    prepare_store(hub)
    received = InboundRequest(
        "POST",
        "http://hub/forms/contact",
        {"content-type": "application/x-www-form-urlencoded"},
        urlencode({"name": name}).encode(),
        datetime(2026, 11, 21, 12, minute, tzinfo=UTC) + timedelta(),
    )
    prepared = prepare(hub, received, "contact")
    with desk.store.write() as connection:
        return str(ingest(connection, hold(prepared, reason)).new_event_ids[0])


def state_of(desk, event_id: str) -> str:
    return desk.json("show", event_id)["state"]


def test_what_is_held_is_listed_with_its_reason_newest_first(office) -> None:
    first, second = keep(office), keep(office, "Joe", minute=1, reason=f"links: 9 {RED}")
    rows = office.json("held")
    assert [row["id"] for row in rows] == [second, first]
    assert rows[1] == {
        "id": first,
        "source": "contact",
        "type": "lead.submitted",
        "received_at": "2026-11-21T12:00:00Z",
        "reason": REASON,
    }
    assert [row["id"] for row in office.json("held", "--limit", "1")] == [second]
    assert [row["id"] for row in office.json("held", "--before", second)] == [first]
    said = office.run("held")
    assert (said.code, REASON in said.out, "\x1b" in said.out) == (0, True, False)


def test_when_nothing_is_held_that_is_said(office) -> None:
    said = office.run("held")
    assert (said.code, said.out, said.err) == (0, "", "nothing\n")
    assert office.json("held") == []


def test_a_released_lead_runs_and_is_not_listed_any_more(office) -> None:
    event_id = keep(office)
    said = office.run("release", event_id, "--reason", "I know her")
    assert (said.code, said.out) == (0, f"{event_id} is matched: 1 delivery\n")
    [delivery] = office.json("deliveries", "--event", event_id)
    assert (delivery["route"], delivery["state"]) == ("note", "pending")
    assert office.json("held") == []
    assert office.audited() == [("event.release", "I know her")]


def test_a_release_needs_no_reason_and_can_be_read_by_a_program(office) -> None:
    event_id = keep(office)
    released = office.json("release", event_id)
    assert released == {"id": event_id, "state": "matched", "deliveries": 1}


def test_released_a_second_time_it_is_refused(office) -> None:
    event_id = keep(office)
    office.json("release", event_id)
    said = office.run("release", event_id)
    assert said.code == 1
    assert said.sentence == f"hub: event {event_id} is not held: it is matched"
    assert len(office.json("deliveries")) == 1


def test_a_discarded_lead_stays_and_is_not_listed_any_more(office) -> None:
    event_id = keep(office)
    discarded = office.json("discard", event_id, "--reason", "spam")
    assert discarded == {"id": event_id, "state": "discarded"}
    assert state_of(office, event_id) == "discarded"
    assert office.json("held") == []
    assert office.json("deliveries") == []
    assert [row["id"] for row in office.json("events", "--state", "discarded")] == [event_id]
    assert office.audited() == [("event.discard", "spam")]
    said = office.run("discard", event_id, "--reason", "spam")
    assert said.sentence == f"hub: event {event_id} is not held: it is discarded"


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_nothing_is_discarded_without_a_reason(office, reason) -> None:
    event_id = keep(office)
    said = office.run("discard", event_id, *reason)
    assert said.code in (1, 2)
    assert "reason" in said.err
    assert state_of(office, event_id) == "held"


@pytest.mark.parametrize("command", [["release"], ["discard", "--reason", "x"]])
def test_what_is_not_there_is_named(office, command) -> None:
    keep(office)
    assert office.run(*command, NOBODY).sentence == (
        f"hub: there is no event {NOBODY}: `hub held` lists what is held"
    )
    assert "is not an id" in office.run(*command, "x").sentence


def test_send_says_that_what_it_sent_is_held_and_why(office) -> None:
    def take_in(received: Received) -> Reply:
        hub = create_hub(load_settings(os.environ), os.environ)
        url, now = "http://hub/forms/contact", datetime.now(UTC)
        posted = InboundRequest("POST", url, received.headers, received.body, now)
        prepared = prepare(hub, posted, "contact")
        with hub.store.write() as connection:
            ingest(connection, hold(prepared, REASON))
        return Reply(200)

    with FarEnd(take_in) as far_end:
        said = office.run("send", "contact", "--url", f"{far_end.url}/forms/contact", "--yes")
    assert said.code == 0
    assert f"it is held: {REASON}" in said.err
    assert "nothing follows until `hub release`" in said.out
