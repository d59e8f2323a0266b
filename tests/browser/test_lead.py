"""Leads in a real browser: from a form on another origin to the owner's link and reply."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub.core.leads.working_hours import DAYS
from tests.browser.conftest import NARROW, assert_accessible
from tests.far_end import FarEnd, Received, Reply
from tests.journeys.office import DANA, LEE, SAM, Office
from tests.running import RunningHub
from tests.twilio_far_end import ACCOUNT, SENDER, TOKEN, TwilioFarEnd

CONFIG = f"""
site: {{name: Acme Roofing, country: US, timezone: UTC}}
limits: {{forms: {{min_seconds: 0}}}}
sources:
  twilio: {{adapter: twilio, secrets: ["${{TWILIO_AUTH_TOKEN}}"]}}
  contact:
    adapter: form
    origins: ["${{FAR_END}}"]
    redirect: "${{FAR_END}}/thanks"
    honeypot: website
    assign: sales
    fields:
      name: {{required: true, label: "Your name"}}
      email: {{type: email, required: true}}
      zip: {{label: "ZIP code", max: 10}}
      service: {{type: choice, choices: [roofing, gutters, other]}}
people:
  dana: {{name: Dana, phone: "{DANA}", hours: "${{NOT_TODAY}} 00:00-24:00"}}
  lee: {{name: Lee, phone: "{LEE}", hours: "${{TODAY}} 00:00-24:00"}}
  sam: {{name: Sam, phone: "{SAM}"}}
assign:
  sales:
    - {{when: "data.fields.service == 'gutters'", to: [sam]}}
    - {{area: ["224*", "22551-22556"], to: [dana, lee], within_hours: true}}
    - {{to: [sam, lee]}}
destinations:
  crm: {{adapter: hubspot, token: pat-0123456789abcdef, base_url: "${{FAR_END}}"}}
  email:
    {{adapter: sendgrid, api_key: SG.0123456789abcdef, from: hello@acme.example,
     base_url: "${{FAR_END}}"}}
  sms:
    {{adapter: twilio, account_sid: {ACCOUNT}, auth_token: "${{TWILIO_AUTH_TOKEN}}",
     from: "{SENDER}", base_url: "${{FAR_END}}"}}
routes:
  tell-owner:
    on: lead.submitted
    do: sms.send
    with:
      to: "{{{{ owner.phone }}}}"
      body: "New lead: {{{{ data.name }}}} {{{{ owner.link }}}}"
    escalate: {{after: AFTER, to: next}}
  lead-to-crm:
    on: lead.submitted
    do: crm.upsert_contact
    with: {{email: "{{{{ data.email }}}}", properties: {{lead_owner: "{{{{ owner.name }}}}"}}}}
  confirmation:
    on: lead.submitted
    do: email.send
    with: {{to: "{{{{ data.email }}}}", subject: "We got your message", text: "Thank you!"}}
"""
PAGE = """<!doctype html><html lang="en"><title>Acme</title><h1>Acme</h1>
<form action="HUB/forms/contact" method="post">
<p><label>Your name <input name="name"></label></p>
<p><label>E-mail <input name="email"></label></p>
<p><label>ZIP code <input name="zip"></label></p>
<p><label>Service <select name="service"><option>roofing</option><option>gutters</option></select>
</label></p><p style="position:absolute;left:-99em"><label>Leave this <input name="website"></label>
</p><button>Send</button></form><script src="HUB/forms/contact.js" async></script></html>"""
THANKS = '<!doctype html><html lang="en"><title>Thanks</title><h1>Thanks from Acme</h1></html>'


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def make(url: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def offices(tmp_path: Path, redis_url: str, sqlite_url: str) -> Iterator[Callable[[str], Office]]:
    """Make one office whose site is on the far end: `offices("2s")` sets `escalate_after`."""
    today = datetime.now(UTC).weekday()
    near = f"{DAYS[today - 1]}-{DAYS[(today + 1) % 7]}"
    far = f"{DAYS[(today + 3) % 7]}-{DAYS[(today + 4) % 7]}"
    made: list[Office] = []
    with FarEnd() as far_end:

        def make(escalate_after: str) -> Office:
            environ = {"TWILIO_AUTH_TOKEN": TOKEN, "TODAY": near, "NOT_TODAY": far}
            environ |= {
                "FAR_END": far_end.url,
                "SECRET_KEY": "for the tests of leads, in a browser",
            }
            hub = RunningHub(
                tmp_path, database_url=sqlite_url, redis_url=redis_url, environ=environ,
                config=CONFIG.replace("AFTER", escalate_after),
            )  # fmt: skip
            hub.environ["HUB_PUBLIC_URL"] = hub.address
            office = Office(hub, TwilioFarEnd(timeout_s=20), sqlite_url)
            pages = {"/contact": PAGE.replace("HUB", hub.address), "/thanks": THANKS}

            def behave(received: Received) -> Reply:
                page = pages.get(received.path)
                html = {"Content-Type": "text/html; charset=utf-8"}
                return Reply(200, page.encode(), html) if page else office.behave(received)

            far_end.behave = behave
            made.append(office)
            hub.start("web", "worker", "clock")
            return office

        yield make
        for office in made:
            office.hub.__exit__()
            office.store.engine.dispose()


def site_of(office: Office) -> str:
    return office.hub.environ["FAR_END"]


def send(page: Page, *, zip_code: str, service: str, trap: str = "") -> None:
    """Fill in and submit the form on the site, as far as the thank-you page."""
    page.get_by_label("Your name").fill("Jane Doe")
    page.get_by_label("E-mail").fill("jane@example.com")
    page.get_by_label("ZIP code").fill(zip_code)
    page.get_by_label("Service").select_option(service)
    page.get_by_label("Leave this").fill(trap)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading")).to_have_text("Thanks from Acme")


def link_in(text: str) -> str:
    [link] = re.findall(r"http\S+", text)
    return str(link)


@pytest.mark.parametrize(
    ("scripts", "zip_code", "service", "first", "then"),
    [
        (True, "22401", "roofing", ("lee", LEE, "Lee"), ("sam", SAM)),
        (False, "99999", "gutters", ("sam", SAM, "Sam"), ("lee", LEE)),
    ],
    ids=["script, by area and hours", "no script, by service"],
)
def test_a_lead_reaches_its_owner_then_the_next_one_once_and_a_reply_of_1_ends_it(
    offices, opened, *, scripts, zip_code, service, first, then
) -> None:
    office = offices("5s")  # long enough for a reply to come before a third person is told
    page = opened(f"{site_of(office)}/contact", java_script_enabled=scripts)
    send(page, zip_code=zip_code, service=service)
    office.await_(lambda: office.texts(first[1]), "the owner to be told")
    office.await_(lambda: office.calls["crm"] and office.calls["mail"], "CRM and confirmation")
    office.await_(lambda: office.texts(then[1]), "the next person to be told")
    assert office.takers() == []
    office.reply(then[1], "1")
    office.await_(office.takers, "the lead to be taken")
    done = [(first[0], f"told {then[0]}"), (then[0], "taken")]
    office.await_(lambda: office.notifications() == done, "the last telling to end")
    assert office.takers() == [(then[0], "reply")]
    counts = {number: len(office.texts(number)) for number in (DANA, LEE, SAM)}
    assert counts == {DANA: 0, LEE: 1, SAM: 1}
    [upsert] = office.calls["crm"]
    assert upsert["properties"]["lead_owner"] == first[2]
    [mail] = office.calls["mail"]
    assert mail["personalizations"][0]["to"][0]["email"] == "jane@example.com"
    assert mail["subject"] == "We got your message"
    assert office.hub.cli("alerts") == []


def test_looking_at_the_link_takes_nothing_its_button_does_and_the_others_see_who(
    offices, opened
) -> None:
    office = offices("2s")
    send(opened(f"{site_of(office)}/contact"), zip_code="22401", service="roofing")
    for number in (LEE, SAM):
        office.await_(lambda number=number: office.texts(number), "both to be told")
    [lees], [sams] = office.texts(LEE), office.texts(SAM)
    page = opened(link_in(lees), viewport=NARROW, java_script_enabled=False)
    expect(page.get_by_role("heading")).to_have_text("Lead: Jane Doe")
    page.reload()
    assert office.takers() == []
    looked = opened(link_in(sams), viewport=NARROW)
    assert_accessible(looked)
    page.get_by_role("button", name="I take this lead").click()
    expect(page.get_by_text("You took this lead on")).to_be_visible()
    assert office.takers() == [("lee", "link")]
    looked.get_by_role("button", name="I take this lead").click()  # a little too late
    expect(looked.get_by_text("Lee took this lead on")).to_be_visible()
    expect(looked.get_by_role("button")).to_have_count(0)
    assert_accessible(looked)
    assert looked.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert office.takers() == [("lee", "link")]


def test_spam_waits_for_a_person_and_once_released_it_is_a_lead_like_any_other(
    offices, opened
) -> None:
    office = offices("1h")
    page = opened(f"{site_of(office)}/contact", java_script_enabled=False)
    send(page, zip_code="22401", service="roofing", trap="https://spam.example")
    office.await_(lambda: office.hub.cli("held"), "it to be held")
    [held] = office.hub.cli("held")
    assert held["reason"].startswith("honeypot: ")
    assert office.hub.deliveries() == []
    assert office.hub.cli("release", held["id"], "--reason", "a person wrote it")["deliveries"] == 3
    office.await_(lambda: office.texts(LEE), "the owner to be told")
    office.await_(lambda: office.calls["crm"] and office.calls["mail"], "CRM and confirmation")
    assert office.hub.cli("held") == []
    again = office.hub.run("release", held["id"])
    assert (again.returncode != 0, "is not held" in again.stderr) == (True, True)
    assert [len(office.texts(number)) for number in (DANA, LEE, SAM)] == [0, 1, 0]
    assert (len(office.calls["crm"]), len(office.calls["mail"])) == (1, 1)
