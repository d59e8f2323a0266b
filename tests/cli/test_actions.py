"""`hub replay`, `settle`, `pause`, `resume`."""

import getpass

import pytest

from hub.cli.context import actor

NOBODY = "01a1fc1d-2301-71ea-8e52-8a5d2d149a6d"


@pytest.fixture
def failed(desk_anywhere) -> str:
    """Create a failed delivery; return its id."""
    desk_anywhere.receive("evt_1")
    return desk_anywhere.set_state("note", "failed", error="it answered 410")


def state_of(desk, delivery_id: str) -> str:
    return desk.json("show", delivery_id)["state"]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(desk_anywhere, failed) -> None:
    [planned] = desk_anywhere.json("replay", failed, "--dry-run")
    assert (planned["delivery_id"], planned["plan"], planned["why"]) == (failed, "anew", "")
    said = desk_anywhere.run("replay", failed, "--dry-run")
    assert said.out == "1 x ops.post will be rendered anew and sent under a new key\n"
    assert state_of(desk_anywhere, failed) == "failed"
    assert desk_anywhere.audited() == []


def test_a_replay_that_nobody_agrees_to_changes_nothing(desk_anywhere, failed) -> None:
    said = desk_anywhere.run("replay", failed)
    assert (said.code, said.out) == (1, "")
    assert "Replay 1? [y/N]" in said.err
    assert "hub: nobody answered; --yes answers beforehand" in said.err
    assert desk_anywhere.run("replay", failed, stdin="n\n").code == 1
    assert state_of(desk_anywhere, failed) == "failed"


@pytest.mark.parametrize(("options", "stdin"), [(["--yes"], ""), ([], "y\n")])
def test_a_replay_that_is_agreed_to_is_queued(desk_anywhere, failed, options, stdin) -> None:
    said = desk_anywhere.run("replay", failed, *options, "--json", stdin=stdin)
    assert said.code == 0
    assert said.json == {"replayed": 1}
    assert state_of(desk_anywhere, failed) == "pending"
    assert desk_anywhere.audited() == [("replay.anew", None)]


def test_an_event_s_id_replays_its_deliveries_and_where_selects_across_events(desk) -> None:
    first = desk.receive("evt_1")
    desk.receive("evt_2")
    desk.set_state("note", "failed")
    desk.set_state("tell", "failed")
    assert desk.json("replay", first, "--yes") == {"replayed": 2}
    where = ["--where", "state=failed,route=note"]
    assert len(desk.json("replay", *where, "--dry-run")) == 1
    assert desk.json("replay", *where, "--yes") == {"replayed": 1}
    assert [row["route"] for row in desk.json("deliveries", "--state", "failed")] == ["tell"]


def test_what_succeeded_happens_a_second_time_only_with_a_reason(desk_anywhere) -> None:
    desk_anywhere.receive("evt_1")
    done = desk_anywhere.set_state("note", "succeeded")
    said = desk_anywhere.run("replay", done, "--yes")
    assert said.code == 1
    assert "makes it happen a second time" in said.err
    for reason in ([], ["--reason", " "]):
        said = desk_anywhere.run("replay", done, "--yes", "--again", *reason)
        assert said.code == 1
        assert "1 x ops.post will happen A SECOND TIME" in said.err
        assert "needs a reason" in said.err
    assert state_of(desk_anywhere, done) == "succeeded"
    said = desk_anywhere.run("replay", done, "--yes", "--again", "--reason", "they lost it")
    assert said.code == 0
    assert desk_anywhere.audited() == [("replay.again", "they lost it")]


def test_a_replay_of_nothing_is_said_to_be_one(desk) -> None:
    said = desk.run("replay", "--where", "state=failed", "--yes")
    assert said.code == 1
    assert said.sentence == "hub: nothing to replay"
    said = desk.run("replay", "--where", "state=failed", "--dry-run")
    assert (said.code, said.out, said.err) == (0, "", "nothing\n")


def test_a_replay_needs_to_be_told_of_what(desk) -> None:
    for arguments in ([], [NOBODY, "--where", "state=failed"], ["--where", "colour=red"],
                      ["--where", "state"]):  # fmt: skip
        said = desk.run("replay", *arguments)
        assert (said.code, said.out) == (2, "")
    said = desk.run("replay", "--where", "state=faild", "--dry-run")
    assert said.code == 2
    assert "there is no state faild: one of waiting," in said.err
    for arguments in (["garbage"], [NOBODY], ["--where", "event=garbage"]):
        said = desk.run("replay", *arguments)
        assert said.code == 1
        assert said.sentence


def test_a_request_that_was_taken_in_is_not_taken_in_again(desk) -> None:
    desk.receive("evt_1")
    [request] = desk.json("requests")
    for options in ([], ["--dry-run"]):
        said = desk.run("replay", request["id"], *options)
        assert said.code == 1
        assert said.sentence == "hub: it is accepted: replay its event or deliveries"


def test_a_dry_run_takes_no_request_in(desk) -> None:
    request_id = desk.keep_request("rejected", b"{}", {})
    said = desk.run("replay", request_id, "--dry-run")
    assert said.out == f"request {request_id} will be verified and read again\n"
    said = desk.run("replay", request_id)
    assert said.code == 1
    assert "hub: it still does not verify: " in said.sentence
    assert [row["state"] for row in desk.json("requests")] == ["rejected"]


@pytest.mark.parametrize(
    ("answer", "state"), [("arrived", "succeeded"), ("again", "retrying"), ("drop", "failed")]
)
def test_an_unknown_outcome_is_what_a_person_says(desk_anywhere, answer, state) -> None:
    desk_anywhere.receive("evt_1")
    row_id = desk_anywhere.set_state("tell", "unknown")
    answered = desk_anywhere.json("settle", row_id, "--as", answer, "--reason", "I looked")
    assert answered == {"id": row_id, "state": state}
    assert state_of(desk_anywhere, row_id) == state
    assert desk_anywhere.audited() == [(f"settle.{answer}", "I looked")]


def test_nothing_is_settled_without_a_reason(desk) -> None:
    desk.receive("evt_1")
    row_id = desk.set_state("tell", "unknown")
    assert desk.run("settle", row_id, "--as", "drop").code == 2
    assert desk.run("settle", row_id, "--as", "lost", "--reason", "x").code == 2
    said = desk.run("settle", row_id, "--as", "drop", "--reason", " ")
    assert said.code == 1
    assert said.sentence == "hub: say why: --reason '...'"
    assert state_of(desk, row_id) == "unknown"


def test_what_is_known_is_not_settled(desk_anywhere, failed) -> None:
    settle = ["--as", "arrived", "--reason", "I looked"]
    said = desk_anywhere.run("settle", failed, *settle)
    assert said.code == 1
    assert said.sentence == "hub: its outcome is not unknown: it is failed"
    for other in (NOBODY, "garbage"):
        said = desk_anywhere.run("settle", other, *settle)
        assert said.code == 1
        assert other in said.sentence


def test_a_destination_is_paused_and_resumed(desk_anywhere) -> None:
    assert desk_anywhere.run("pause", "ops").out == "ops is paused\n"
    assert desk_anywhere.paused() == ["ops"]
    assert desk_anywhere.json("resume", "ops") == {"destination": "ops", "paused": False}
    assert desk_anywhere.paused() == []
    assert desk_anywhere.audited() == [("pause", None), ("resume", None)]


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_destination_that_there_is_not_is_said_to_be_none(desk, command) -> None:
    said = desk.run(command, "nobody")
    assert said.code == 1
    assert said.sentence == "hub: there is no destination nobody; hub.yaml has ops, team, crm"
    assert desk.audited() == []


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("no name")])
def test_somebody_without_a_name_is_written_down_by_number(monkeypatch, error) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert actor().startswith("cli:uid ")
