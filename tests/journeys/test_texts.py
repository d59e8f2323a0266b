"""Texts whose answers are lost: each is sent once, and its outcome is found out."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviours import Behaviour
from tests.far_end import FarEnd
from tests.faults.hubs import FaultyHub
from tests.running import stripe_event, until
from tests.twilio_far_end import ACCOUNT, SENDER, TOKEN, Callback, TwilioFarEnd

CONFIG = f"""
sources:
  stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}
  twilio: {{adapter: twilio, secrets: ["${{TWILIO_AUTH_TOKEN}}"]}}
destinations:
  texts:
    {{adapter: twilio, account_sid: {ACCOUNT}, auth_token: "${{TWILIO_AUTH_TOKEN}}",
     from: "{SENDER}", base_url: "${{FAR_END}}", callback: twilio, timeout: 60s, concurrency: 4}}
routes:
  text:
    {{on: payment.succeeded, live: any, do: texts.send,
     with: {{to: "{{{{ data.metadata.to }}}}", body: "For {{{{ event.external_id }}}}."}}}}
"""
TEXTS = 12
AT_ONCE = 4
# Accepted texts at which a worker is killed: all those in flight are accepted then.
DIES_AT = (4, 8)
WITHIN_S = 90
NUMBERS = [f"+1202555{1000 + n}" for n in range(TEXTS)]


class Texting:
    """Hub whose Twilio accepts texts, stays silent for a while, and drops the connection.

    Its status callbacks are withheld until `tell`.
    """

    def __init__(self, twilio: TwilioFarEnd, hub: FaultyHub) -> None:
        self.twilio = twilio
        self.hub = hub
        self.drop = threading.Event()
        self.told: list[int] = []
        self.withheld: list[Callback] = []
        self._tellers: list[threading.Thread] = []
        twilio.treat = lambda _: Behaviour.DROPS
        twilio.tell = self.withheld.append
        twilio.accepted = lambda _: self._hold()

    def tell(self) -> None:
        """Post the withheld status callbacks, and all later ones as they come."""
        self.twilio.tell = self._post
        for one in self.withheld:
            self._post(one)

    def tell_all_twice_and_backwards(self) -> None:
        """Post the withheld callbacks twice, the last status first."""
        for one in [*reversed(self.withheld)] * 2:
            self.told.append(one.post())

    def send(self, count: int = 1) -> None:
        for n in range(count):
            body = stripe_event(f"evt_{n}", metadata={"to": NUMBERS[n]})
            assert self.hub.post(body) == 200

    def states(self) -> list[str]:
        return [row["state"] for row in self.hub.deliveries()]

    def only(self) -> dict[str, Any]:
        [delivery] = self.hub.deliveries()
        return delivery

    def wait_for(self, state: str) -> None:
        """Wait until all deliveries are in that state."""
        until(lambda: set(self.states()) == {state}, WITHIN_S, f"all to be {state}")

    def close(self) -> None:
        self.drop.set()
        for one in self._tellers:
            one.join(30)

    def _hold(self) -> None:
        self.drop.wait(90)

    def _post(self, one: Callback) -> None:
        teller = threading.Thread(target=lambda: self.told.append(one.post()))
        self._tellers.append(teller)
        teller.start()


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[str], Texting]]:
    """Start web and clock of a hub over a database; no worker yet."""
    twilio = TwilioFarEnd(timeout_s=60)
    running: list[Texting] = []
    with FarEnd(twilio.behave) as far_end:

        def begin(database_url: str) -> Texting:
            hub = FaultyHub(
                tmp_path,
                far_end=far_end,
                hurry=True,
                config=CONFIG,
                database_url=database_url,
                redis_url=redis_url,
                environ={"TWILIO_AUTH_TOKEN": TOKEN},
            )
            hub.environ["HUB_PUBLIC_URL"] = hub.address
            running.append(Texting(twilio, hub))
            hub.start("web", "clock")
            return running[-1]

        yield begin
        for one in running:
            one.close()
            one.hub.__exit__()


def send_twelve_and_kill_workers(texting: Texting) -> None:
    """Send 12 texts, and kill the worker whenever four more are accepted and not answered."""
    texting.send(TEXTS)
    for accepted in DIES_AT:
        texting.hub.start("worker")
        until(
            lambda: len(texting.twilio.messages) >= accepted,  # noqa: B023 - asked at once
            WITHIN_S,
            f"{accepted} accepted texts",
        )
        texting.hub.kill("worker")
    texting.drop.set()
    texting.hub.start("worker")
    until(lambda: len(texting.twilio.messages) >= TEXTS, WITHIN_S, "all texts to be accepted")


def check_each_was_sent_once(texting: Texting) -> None:
    assert {number: len(texting.twilio.sent_to(number)) for number in NUMBERS} == dict.fromkeys(
        NUMBERS, 1
    )


def closed_by(texting: Texting) -> set[str | None]:
    """Return the kinds of evidence that closed the attempts."""
    rows = [texting.hub.cli("show", row["id"]) for row in texting.hub.deliveries()[:2]]
    return {attempt["closed_by"] for row in rows for attempt in row["attempt_rows"]}


def test_status_callbacks_close_what_no_answer_told(start, postgresql_url) -> None:
    texting = start(postgresql_url)
    texting.twilio.lists = False
    texting.tell()
    send_twelve_and_kill_workers(texting)
    texting.wait_for("succeeded")
    check_each_was_sent_once(texting)
    assert closed_by(texting) == {"webhook"}
    until(lambda: len(texting.told) == 3 * TEXTS, WITHIN_S, "all callbacks to be answered")
    assert set(texting.told) == {200}
    assert texting.hub.cli("unknown") == []


def test_a_look_up_closes_what_no_callback_told(start, sqlite_url) -> None:
    texting = start(sqlite_url)
    send_twelve_and_kill_workers(texting)
    texting.wait_for("succeeded")
    check_each_was_sent_once(texting)
    assert closed_by(texting) == {"lookup"}


def test_with_neither_a_person_is_asked(start, postgresql_url) -> None:
    texting = start(postgresql_url)
    texting.twilio.lists = False
    send_twelve_and_kill_workers(texting)
    texting.wait_for("unknown")
    until(
        lambda: len(texting.hub.cli("alerts")) == TEXTS, WITHIN_S, "a person to be asked about all"
    )
    assert {one["kind"] for one in texting.hub.cli("alerts")} == {"unknown outcome"}
    assert len(texting.hub.cli("unknown")) == TEXTS
    assert set(texting.states()) == {"unknown"}
    check_each_was_sent_once(texting)


def in_doubt(start: Callable[[str], Texting], database_url: str) -> Texting:
    """Return a hub with one accepted text for which it has neither answer nor callback."""
    texting = start(database_url)
    texting.twilio.lists = False
    texting.drop.set()
    texting.hub.start("worker")
    texting.send()
    texting.wait_for("unknown")
    return texting


def test_nothing_makes_a_text_go_out_again_but_a_person_who_asks_for_it(start, postgresql_url):
    texting = in_doubt(start, postgresql_url)
    delivery = texting.only()["id"]
    refused = texting.hub.run("replay", delivery, "--yes")
    assert refused.returncode != 0
    assert "hub settle" in refused.stderr
    texting.tell()
    texting.wait_for("succeeded")
    refused = texting.hub.run("replay", delivery, "--yes")
    assert refused.returncode != 0
    assert "--again" in refused.stderr
    assert len(texting.twilio.messages) == 1
    texting.twilio.treat = lambda _: Behaviour.ANSWERS
    again = ("--again", "--reason", "the customer lost it", "--yes")
    assert texting.hub.run("replay", delivery, *again).returncode == 0
    until(lambda: len(texting.twilio.messages) == 2, WITHIN_S, "the second text")


@pytest.mark.parametrize("answer", ["arrived", "drop"])
def test_who_settles_while_a_callback_arrives_sends_nothing(start, sqlite_url, answer) -> None:
    texting = in_doubt(start, sqlite_url)
    delivery = texting.only()["id"]
    texting.tell()
    settled = texting.hub.run("settle", delivery, "--as", answer, "--reason", "I asked her")
    assert settled.returncode == 0 or "is not unknown" in settled.stderr
    until(lambda: len(texting.told) == 3, WITHIN_S, "the callbacks to be answered")
    until(lambda: texting.only()["status"] == "delivered", WITHIN_S, "the callbacks to be read")
    assert set(texting.told) == {200}
    assert texting.only()["state"] == "succeeded"
    assert len(texting.twilio.messages) == 1
    [attempt] = texting.hub.cli("show", delivery)["attempt_rows"]
    assert attempt["state"] == "accepted"


def test_news_may_come_before_the_answer_doubled_and_in_any_order(start, postgresql_url) -> None:
    texting = start(postgresql_url)
    texting.twilio.lists = False
    texting.hub.start("worker")
    texting.send()
    until(lambda: len(texting.twilio.messages) == 1, WITHIN_S, "the call")
    delivery = texting.only()["id"]
    refused = texting.hub.run("replay", delivery, "--yes")
    assert refused.returncode != 0
    assert "already on its way" in refused.stderr
    texting.tell_all_twice_and_backwards()
    assert texting.told == [200] * 6
    until(lambda: texting.only()["status"] == "delivered", WITHIN_S, "the callbacks to be read")
    assert texting.only()["state"] == "running"
    texting.drop.set()
    texting.wait_for("succeeded")
    assert closed_by(texting) == {"webhook"}
    assert texting.only()["status"] == "delivered"
    assert len(texting.twilio.messages) == 1
    statuses = [one for one in texting.hub.cli("events") if one["source"] == "twilio"]
    assert {one["duplicates"] for one in statuses} == {1}
