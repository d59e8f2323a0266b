"""`hub send`: the destinations it would reach, and the outcome of the event."""

import os
import subprocess
import sys

import pytest

from tests.far_end import FarEnd, Reply
from tests.running import ROOT, RunningHub


@pytest.fixture
def far_end():
    with FarEnd(lambda _: Reply(200)) as far_end:
        yield far_end


def only_sandbox(desk) -> None:
    """Put every destination of the desk's file into the sandbox."""
    config = (desk.folder / "hub.yaml").read_text()
    for end in ('/team"', '"${OPS_SECRET}"'):
        config = config.replace(end, f"{end}, mode: sandbox")
    (desk.folder / "hub.yaml").write_text(config)


def test_nothing_is_sent_when_live_destinations_are_reached_and_nobody_answers(desk) -> None:
    with FarEnd(lambda _: Reply(200)) as far_end:
        said = desk.run("send", "stripe", "--url", far_end.url)
        assert (said.code, said.out) == (1, "")
        assert "This reaches ops, team, live. Go on? [y/N]" in said.err
        assert "hub: nobody answered; --yes answers beforehand" in said.err
        assert desk.run("send", "stripe", "--url", far_end.url, stdin="n\n").code == 1
        assert far_end.received == []


def test_a_test_event_reaches_only_routes_that_take_it(desk) -> None:
    said = desk.run("send", "stripe", "--test")
    assert "This reaches ops, live." in said.err


def test_a_sandbox_is_reached_without_a_question_and_a_hub_that_is_not_there_is_said(desk) -> None:
    only_sandbox(desk)
    said = desk.run("send", "stripe")
    assert said.code == 1
    assert said.sentence.endswith("does not answer (ConnectionError): is `hub up` running?")


def test_a_refusal_is_said_with_its_status(desk) -> None:
    only_sandbox(desk)
    with FarEnd(lambda _: Reply(401)) as far_end:
        said = desk.run("send", "stripe", "--url", far_end.url)
    assert (said.code, said.out) == (1, "")
    assert "hub: it was not taken: 401" in said.err


def test_a_hub_on_another_database_is_suspected(desk) -> None:
    only_sandbox(desk)
    with FarEnd(lambda _: Reply(200)) as far_end:
        said = desk.run("send", "stripe", "--url", far_end.url, "--times", "2")
        assert len(far_end.received) == 2
        assert far_end.received[0].body == far_end.received[1].body
    assert said.code == 1
    assert "is the hub running on another one?" in said.err


def test_a_source_or_a_type_that_there_is_not_is_said_with_those_that_there_are(desk) -> None:
    said = desk.run("send", "nobody")
    assert said.sentence == "hub: there is no source nobody; hub.yaml has stripe"
    said = desk.run("send", "stripe", "odd.thing")
    assert said.sentence.startswith("hub: no sample of odd.thing; there are: payment_intent.")


def test_what_became_of_it_is_printed(tmp_path, sqlite_url, redis_url, far_end) -> None:
    with RunningHub(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, environ={"FAR_END": far_end.url}
    ) as hub:
        hub.start("web", "worker")
        sent = hub.cli("send", "stripe", "charge.refunded", "--yes", "--times", "3")
        assert sent["duplicates"] == 2
        [delivery] = sent["deliveries"]
        assert (delivery["state"], delivery["destination"]) == ("succeeded", "ops")
        assert len(far_end.received) == 1


def test_a_list_whose_reader_leaves_early_says_nothing(desk) -> None:
    for n in range(3):
        desk.receive(f"evt_{n}")
    command = f"{sys.executable} -m hub events --json | true"
    done = subprocess.run(  # noqa: S602 - a pipe is what is tested
        command, shell=True, cwd=desk.folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
