"""Lead, end to end: the right person is notified, then the next one, until a reply of 1."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from hub.core.leads.working_hours import DAYS
from tests.far_end import FarEnd
from tests.faults.hubs import FaultyHub
from tests.journeys.office import DANA, LEE, SAM, Office
from tests.twilio_far_end import ACCOUNT, SENDER, TOKEN, TwilioFarEnd

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
    office.await_(lambda: office.calls["crm"] and office.calls["mail"], "CRM and confirmation")
    office.await_(lambda: office.texts(SAM), "the next person to be told")
    page = requests.get(link, timeout=10)
    assert page.status_code == 200
    assert "I take this lead" in page.text
    assert office.takers() == []
    office.reply(SAM, "1")
    office.await_(office.takers, "the lead to be taken")
    assert office.takers() == [("sam", "reply")]
    office.let_the_hour_pass(SAM)
    done = [("lee", "told sam"), ("sam", "taken")]
    office.await_(lambda: office.notifications() == done, "the last telling to end")
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

    office.await_(alerted, "the alert")
    [message] = alerted()
    assert "route tell-owner has told lee, sam, dana, and nobody took it" in message
    assert [len(office.texts(number)) for number in (LEE, SAM, DANA)] == [1, 1, 1]
    assert office.hub.cli("acknowledge", event_id)["how"] == "command"
    assert alerted() == []
