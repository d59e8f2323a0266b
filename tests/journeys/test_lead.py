"""A lead, end to end: the right person is told, then the next one, until a reply of 1 ends it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select, update

from hub.core.leads.hours import DAYS
from hub.core.models import Acknowledgement, Telling, database_now
from hub.gateways.database import open_database
from tests.far_end import FarEnd, Received, Reply
from tests.faults.hubs import FaultyHub
from tests.running import until
from tests.twilio_far_end import ACCOUNT, SENDER, TOKEN, TwilioFarEnd, callback

DANA, LEE, SAM = "+12025550101", "+12025550102", "+12025550103"
WITHIN_S = 60
CONFIG = f"""
site: {{name: Acme Roofing, timezone: UTC}}
sources:
  twilio: {{adapter: twilio, secrets: ["${{TWILIO_AUTH_TOKEN}}"]}}
  contact:
    adapter: form
    assign: sales
    fields:
      name: {{required: true}}
      email: {{type: email, required: true}}
      zip: {{}}
people:
  dana: {{name: Dana, phone: "{DANA}", hours: "${{NOT_TODAY}} 00:00-24:00"}}
  lee: {{name: Lee, phone: "{LEE}", hours: "${{TODAY}} 00:00-24:00"}}
  sam: {{name: Sam, phone: "{SAM}"}}
assign:
  sales:
    - {{area: 99*, to: [sam]}}
    - {{area: ["224*", 22551-22556], to: [dana, lee, sam], within_hours: true}}
    - {{to: [sam]}}
destinations:
  texts:
    {{adapter: twilio, account_sid: {ACCOUNT}, auth_token: "${{TWILIO_AUTH_TOKEN}}",
     from: "{SENDER}", base_url: "${{FAR_END}}"}}
  crm: {{adapter: hubspot, token: pat-0123456789abcdef, base_url: "${{FAR_END}}"}}
  email:
    {{adapter: sendgrid, api_key: SG.0123456789abcdef, from: hello@acme.example,
     base_url: "${{FAR_END}}"}}
routes:
  tell-owner:
    on: lead.submitted
    do: texts.send
    with:
      to: "{{{{ owner.phone }}}}"
      body: "New lead: {{{{ data.name }}}} {{{{ owner.link }}}}"
    escalate: {{after: 1h, to: next}}
  lead-to-crm:
    on: lead.submitted
    do: crm.upsert_contact
    with: {{email: "{{{{ data.email }}}}", properties: {{lead_owner: "{{{{ owner.name }}}}"}}}}
  confirmation:
    on: lead.submitted
    do: email.send
    with: {{to: "{{{{ data.email }}}}", subject: "We got your message", text: "Thank you!"}}
"""


class Office:
    """A running hub, and the far ends of its destinations."""

    def __init__(self, hub: FaultyHub, twilio: TwilioFarEnd, database_url: str) -> None:
        self.hub = hub
        self.twilio = twilio
        self.calls: dict[str, list[Any]] = {"crm": [], "mail": []}
        self.store = open_database(database_url, pool_size=1)

    def behave(self, received: Received) -> Reply:
        if received.path.startswith("/crm/"):
            self.calls["crm"].append(json.loads(received.body or b"null"))
            return Reply(200, b'{"id": "1"}', {"Content-Type": "application/json"})
        if received.path == "/v3/mail/send":
            self.calls["mail"].append(json.loads(received.body))
            return Reply(202, b"", {"X-Message-Id": "m1"})
        return self.twilio.behave(received)

    def texts(self, number: str) -> list[str]:
        return [one["body"] for one in self.twilio.sent_to(number)]

    def submit(self) -> str:
        values = {"name": "Jane Doe", "email": "jane@example.com", "zip": "22401"}
        answer = requests.post(
            f"{self.hub.address}/forms/contact", json=values, timeout=10, allow_redirects=False
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def reply(self, sender: str, body: str) -> None:
        form = {
            "AccountSid": ACCOUNT,
            "MessageSid": f"SM{len(body):032x}",
            "SmsStatus": "received",
            "From": sender,
            "To": SENDER,
            "Body": body,
        }
        assert callback(f"{self.hub.address}/webhooks/twilio", form).post() == 200

    def let_the_hour_pass(self, number: str) -> None:
        """Wait until the person of that telephone was told, and an hour more."""
        until(lambda: self.texts(number), WITHIN_S, "somebody to be told")
        waiting = (Telling.closed_at.is_(None), Telling.due_at.is_not(None))

        def is_seen() -> bool:
            with self.store.read() as connection:
                return connection.execute(select(Telling.id).where(*waiting)).first() is not None

        until(is_seen, WITHIN_S, "the clock to see that somebody was told")
        with self.store.write() as connection:
            connection.execute(update(Telling).where(*waiting).values(due_at=database_now()))

    def tellings(self) -> list[tuple[str, str | None]]:
        """Return who was told and how it went on."""
        columns = select(Telling.person, Telling.ended).order_by(Telling.n)
        with self.store.read() as connection:
            return [(row.person, row.ended) for row in connection.execute(columns)]

    def takers(self) -> list[tuple[str | None, str]]:
        columns = select(Acknowledgement.person, Acknowledgement.how)
        with self.store.read() as connection:
            return [(row.person, row.how) for row in connection.execute(columns)]


@pytest.fixture
def office(tmp_path: Path, redis_url: str, database_url: str) -> Iterator[Office]:
    today = datetime.now(UTC).weekday()
    near = f"{DAYS[today - 1]}-{DAYS[(today + 1) % 7]}"
    far = f"{DAYS[(today + 3) % 7]}-{DAYS[(today + 4) % 7]}"
    with FarEnd() as far_end:
        hub = FaultyHub(
            tmp_path,
            far_end=far_end,
            hurry=True,
            config=CONFIG,
            database_url=database_url,
            redis_url=redis_url,
            environ={"TWILIO_AUTH_TOKEN": TOKEN, "TODAY": near, "NOT_TODAY": far},
        )
        hub.environ["HUB_PUBLIC_URL"] = hub.address
        hub.environ["SECRET_KEY"] = "for the tests of this project only"
        running = Office(hub, TwilioFarEnd(timeout_s=20), database_url)
        far_end.behave = running.behave
        with hub:
            hub.start("web", "worker", "clock")
            yield running
        running.store.engine.dispose()


def test_a_lead_reaches_who_is_on_duty_then_the_next_and_a_reply_of_1_ends_it(office) -> None:
    event_id = office.submit()
    office.let_the_hour_pass(LEE)
    [told] = office.texts(LEE)
    link = re.findall(r"http\S+", told)[0]
    assert told == f"New lead: Jane Doe {link}"
    until(lambda: office.calls["crm"] and office.calls["mail"], WITHIN_S, "CRM and confirmation")
    until(lambda: office.texts(SAM), WITHIN_S, "the next person to be told")
    page = requests.get(link, timeout=10)
    assert page.status_code == 200
    assert "I take this lead" in page.text
    assert office.takers() == []
    office.reply(SAM, "1")
    until(office.takers, WITHIN_S, "the lead to be taken")
    assert office.takers() == [("sam", "reply")]
    office.let_the_hour_pass(SAM)
    done = [("lee", "told sam"), ("sam", "taken")]
    until(lambda: office.tellings() == done, WITHIN_S, "the last telling to end")
    assert "Sam took this lead" in requests.get(link, timeout=10).text
    assert [len(office.texts(number)) for number in (DANA, LEE, SAM)] == [0, 1, 1]
    [upsert] = office.calls["crm"]
    assert upsert["properties"]["lead_owner"] == "Lee"
    assert len(office.calls["mail"]) == 1
    shown = office.hub.cli("show", event_id)
    assert [(one["person"], one["rule"]) for one in shown["owners"]] == [("lee", 2)]
    assert shown["taken"]["person"] == "sam"


def test_when_all_were_told_and_nobody_took_it_the_hub_says_so_until_somebody_does(office) -> None:
    event_id = office.submit()
    for number in (LEE, SAM, DANA):
        office.let_the_hour_pass(number)

    def alerted() -> list[str]:
        return [one["message"] for one in office.hub.cli("alerts") if event_id in one["subject"]]

    until(alerted, WITHIN_S, "the alert")
    [message] = alerted()
    assert "route tell-owner has told lee, sam, dana, and nobody took it" in message
    assert [len(office.texts(number)) for number in (LEE, SAM, DANA)] == [1, 1, 1]
    assert office.hub.cli("acknowledge", event_id)["how"] == "command"
    assert alerted() == []
