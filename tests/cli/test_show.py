"""`hub show`: all facts about one row, without control characters that a terminal would obey."""

import pytest

from hub.cli.tables import shown
from tests.cli.commanding import CONTROL

NOBODY = "01a1fc1d-2301-71ea-8e52-8a5d2d149a6d"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\u202egnp.exe\x9b31m\x7f \u2028[bold]"


def test_an_event_is_shown_with_its_deliveries_and_the_provider_s_own_object(desk_anywhere) -> None:
    event_id = desk_anywhere.receive("evt_1")
    found = desk_anywhere.json("show", event_id)
    assert (found["kind"], found["id"]) == ("event", event_id)
    assert found["data"]["native"]["amount"] == 4200
    assert {one["route"] for one in found["deliveries"]} == {"note", "tell", "keep"}
    assert all(one["attempt_rows"] == [] for one in found["deliveries"])
    told = desk_anywhere.run("show", event_id).out
    for part in (event_id, "payment.succeeded", "note -> ops.post", "keep -> crm.upsert_contact"):
        assert part in told


def test_a_delivery_is_shown_with_what_became_of_it(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    delivery_id = desk_anywhere.set_state("note", "failed", error="it answered 410")
    found = desk_anywhere.json("show", delivery_id)
    assert (found["kind"], found["state"]) == ("delivery", "failed")
    assert "failed: it answered 410" in desk_anywhere.run("show", delivery_id).out


def test_a_request_is_shown_as_it_arrived(desk_anywhere) -> None:
    request_id = desk_anywhere.keep_request("unreadable", b'{"a": 1}\n', {"x-one": "1"})
    found = desk_anywhere.json("show", request_id)
    assert (found["kind"], found["body"]) == ("request", '{"a": 1}\n')
    assert found["headers"] == {"x-one": "1"}
    told = desk_anywhere.run("show", request_id).out
    assert "x-one: 1" in told
    assert '{"a": 1}' in told
    assert "because" in told


def test_nothing_that_came_in_reaches_the_terminal_as_a_command(desk) -> None:
    event_id = desk.receive("evt_1", metadata={HOSTILE: HOSTILE}, receipt_email=HOSTILE)
    delivery_id = desk.set_state("note", "failed", error=HOSTILE)
    body = HOSTILE.encode() + b"\x80\xff\x00"
    request_id = desk.keep_request("rejected", body, {"user-agent": HOSTILE})
    with desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE events SET native_type = ?", (HOSTILE,))
    commands = [
        *(["show", wanted] for wanted in (event_id, delivery_id, request_id)),
        ["events"], ["deliveries"], ["requests"],
    ]  # fmt: skip
    for command in commands:
        for said in (desk.run(*command), desk.run(*command, "--json")):
            assert said.code == 0
            assert CONTROL.search(said.out) is None
    assert desk.json("show", event_id)["data"]["metadata"] == {HOSTILE: HOSTILE}
    assert desk.json("deliveries", "--route", "note")[0]["error"] == HOSTILE
    assert "[bold]" in desk.run("deliveries").out


@pytest.mark.parametrize("text", ["2026-11-21T\x1b[2J\x1b[31mZ", "ABCDEFGHIJTKLMNOPQRSTUVWZ"])
def test_what_only_resembles_a_time_is_shown_whole_and_inert(text) -> None:
    assert len(shown(text)) == len(text)
    assert CONTROL.search(shown(text)) is None


def test_an_id_of_nothing_is_said_to_be_one(desk_anywhere) -> None:
    said = desk_anywhere.run("show", NOBODY)
    assert said.code == 1
    assert said.sentence == f"hub: there is no event, delivery or request {NOBODY}"


@pytest.mark.parametrize("garbage", ["garbage", "", "1", f"{NOBODY}0", "'; DROP TABLE events"])
def test_what_is_no_id_is_refused_in_a_sentence(desk, garbage) -> None:
    for options in ([], ["--json"]):
        said = desk.run("show", garbage, *options)
        assert said.code == 1
        assert "is not an id" in said.sentence
