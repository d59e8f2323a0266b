"""Forms in a real browser, on a page of another origin and hosted by the hub."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub.core.queries.event_rows import event_json
from hub.gateways.database.engine import Database, open_database
from tests.browser.conftest import NARROW, WIDE, assert_accessible
from tests.listing import event_rows
from tests.running import RunningHub, until
from tests.stores import RedisServer

WITHIN_S = 10
CONFIG = """
sources:
  contact:
    adapter: form
    origins: ["SITE"]
    title: Ask for a quote
    fields:
      name: {required: true, max: 20, help: "As we shall call you"}
      email: {type: email, required: true}
      service: {type: choice, choices: [Roofing, Gutters]}
      extras: {type: choices, choices: [Skylight, Insulation], max: 1}
      start: {type: date}
      photos: {type: file, max: 2}
      message: {type: longtext}
      consent: {type: consent, text: "Text me about my request"}
  thanked:
    adapter: form
    origins: ["SITE"]
    redirect: "SITE/thanks"
    fields: {name: {required: true}, email: {type: email}}
"""
PAGE = """<!doctype html><html lang="en"><title>Acme</title><h1>Acme</h1>
<form action="{hub}/forms/{form}" method="post" enctype="multipart/form-data">
<p><label>Name <input name="name"></label></p>
<p><label for="mail">E-mail</label> <input id="mail" name="email"></p>
<fieldset><legend>Extras</legend>
<label><input type="checkbox" name="extras" value="Skylight"> Skylight</label>
<label><input type="checkbox" name="extras" value="Insulation"> Insulation</label></fieldset>
<p><label>Photos <input type="file" name="photos" multiple></label></p>
<p><label><input type="checkbox" name="consent" value="yes"> Text me</label></p>
<button>Send</button></form>
<script src="{hub}/forms/{form}.js" async></script></html>"""


class Site(ThreadingHTTPServer):
    """Static site server with a contact page and a thank-you page."""

    hub = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class SitePage(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        form = "thanked" if self.path.startswith("/thanked") else "contact"
        text = PAGE.format(hub=self.server.hub, form=form)
        if self.path == "/thanks":
            text = "<!doctype html><title>Thanks</title><h1>Thanks from Acme</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Suppress the server's log lines."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), SitePage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class FormHub:
    """Running hub with the site's forms: `contact`, and `thanked` with a thank-you page."""

    address: str
    database: Database

    def leads(self) -> list[dict[str, Any]]:
        """Return all leads with their data, the newest first."""
        with self.database.read() as connection:
            found = event_rows(connection, limit=100)
            rows = [event_json(connection, UUID(row["id"])) for row in found]
        return [row for row in rows if row]

    def new_leads(self, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = {lead["id"] for lead in before}
        return [lead for lead in self.leads() if lead["id"] not in known]


@pytest.fixture(scope="module")
def hub(
    site: Site,
    _sqlite_template: Path,
    _redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FormHub]:
    folder = tmp_path_factory.mktemp("forms")
    shutil.copy(_sqlite_template, folder / "hub.db")
    url, config = f"sqlite:///{folder}/hub.db", CONFIG.replace("SITE", site.origin)
    environ = {"SECRET_KEY": "for the tests of forms, in a browser"}
    with RunningHub(
        folder, database_url=url, redis_url=_redis_server.url, config=config, environ=environ
    ) as running:
        running.start("web")
        site.hub = running.address
        database = open_database(url)
        yield FormHub(running.address, database)
        database.engine.dispose()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def make(url: str, **options: Any) -> Page:
        context = browser.new_context(**({"viewport": WIDE} | options))
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()


def upgraded(page: Page) -> Page:
    """Wait until the script has taken over the form and has its token."""
    page.wait_for_function("document.querySelector('[name=_token]')?.value")
    return page


def test_a_double_click_is_one_lead_and_the_page_stays(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = upgraded(opened(f"{site.origin}/contact?utm_source=ads"))
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("E-mail").fill("ann@example.net")
    page.get_by_label("Skylight").check()
    page.get_by_label("Photos").set_input_files(
        {"name": "roof.png", "mimeType": "image/png", "buffer": b"\x89PNG"}
    )
    page.get_by_role("button", name="Send").dblclick()
    thanks = page.get_by_role("status")
    expect(thanks).to_have_text("Thank you. Your message has arrived.")
    expect(thanks).to_be_focused()
    expect(page.locator("form")).to_be_hidden()
    assert page.url.startswith(site.origin)
    [lead] = hub.new_leads(before)
    assert lead["duplicates"] == 0
    assert lead["data"]["page"] == f"{site.origin}/contact?utm_source=ads"
    assert lead["data"]["utm"] == {"source": "ads"}
    assert lead["data"]["fields"]["extras"] == ["Skylight"]
    assert lead["data"]["fields"]["photos"][0]["size"] == 4


def test_faults_are_told_in_the_page_and_go_when_they_are_mended(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = upgraded(opened(site.origin))
    page.get_by_label("E-mail").fill("ann")
    page.get_by_label("Skylight").check()
    page.get_by_label("Insulation").check()
    page.get_by_role("button", name="Send").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_text(["Name", "E-mail", "Extras"])
    mail = page.get_by_label("E-mail", exact=True)
    expect(mail).to_have_attribute("aria-invalid", "true")
    expect(mail).to_have_accessible_description(
        "Please enter an e-mail address like jane@example.com."
    )
    summary.get_by_role("link", name="E-mail").click()
    expect(mail).to_be_focused()
    expect(mail).to_have_value("ann")
    page.get_by_label("Name").fill("Ann")
    mail.fill("ann@example.net")
    page.get_by_label("Insulation").uncheck()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert len(hub.new_leads(before)) == 1


def test_what_was_typed_stays_when_nothing_answers_and_is_sent_once_later(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = upgraded(opened(site.origin))
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("E-mail").fill("ann@example.net")
    page.context.set_offline(True)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing answers")
    expect(page.get_by_label("Name")).to_have_value("Ann")
    page.context.set_offline(False)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert len(hub.new_leads(before)) == 1


def test_who_gets_a_token_only_when_they_send_is_not_held_as_too_fast(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = opened("about:blank")
    page.clock.install()
    page.route("**/token*", lambda route: route.abort())
    page.goto(site.origin)
    page.wait_for_function("document.querySelector('[name=_page]')?.value")
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("E-mail").fill("ann@example.net")
    page.clock.fast_forward(60_000)
    page.unroute("**/token*")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_be_visible()
    [lead] = hub.new_leads(before)
    assert lead["state"] != "held"


def test_an_answer_that_was_lost_does_not_make_a_second_lead(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = upgraded(opened(site.origin))
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("E-mail").fill("ann@example.net")
    page.route("**/forms/contact", lambda route: (route.fetch(), route.abort()))
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing answers")
    page.unroute("**/forms/contact")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_be_visible()
    [lead] = hub.new_leads(before)
    assert lead["duplicates"] == 1


def test_with_a_page_of_thanks_the_script_goes_there(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    address = f"{site.origin}/thanked"
    for page in (upgraded(opened(address)), opened(address, java_script_enabled=False)):
        page.get_by_label("Name").fill("Ann")
        page.get_by_label("E-mail").fill("ann@example.net")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("heading")).to_have_text("Thanks from Acme")
    page = opened(f"{hub.address}/forms/thanked", java_script_enabled=False)
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Email").fill("ann@example.net")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading")).to_have_text("Thanks from Acme")


def test_without_a_script_a_lead_arrives_and_faults_are_on_a_page(
    hub: FormHub, site: Site, opened: Callable[..., Page]
) -> None:
    before = hub.leads()
    page = opened(f"{site.origin}/contact", java_script_enabled=False)
    page.get_by_label("E-mail").fill("ann@example.net")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("listitem")).to_have_text(["Name: Please fill this in."])
    assert hub.new_leads(before) == []
    page.go_back()
    expect(page.get_by_label("E-mail")).to_have_value("ann@example.net")
    page.get_by_label("Name").fill("Ann")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading")).to_have_text("Thank you")
    until(lambda: len(hub.new_leads(before)) == 1, WITHIN_S, "the lead to be there")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_the_hosted_form_is_one_lead_even_on_a_double_click(
    hub: FormHub, opened: Callable[..., Page], *, scripts: bool
) -> None:
    before = hub.leads()
    page = opened(f"{hub.address}/forms/contact", java_script_enabled=scripts)
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Email").fill("ann@example")
    page.get_by_label("Service").select_option("Gutters")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text("Email")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Service")).to_have_value("Gutters")
    page.get_by_label("Email").fill("ann@example.net")
    page.get_by_role("button", name="Send").dblclick()
    expect(page.get_by_text("Your message has arrived.")).to_be_visible()
    [lead] = hub.new_leads(before)
    assert lead["data"]["fields"]["service"] == "Gutters"
    assert lead["data"]["page"] == f"{hub.address}/forms/contact"


def test_the_hosted_form_is_accessible_before_and_after_faults(
    hub: FormHub, opened: Callable[..., Page]
) -> None:
    looks = ((WIDE, "light"), (NARROW, "dark"), ({"width": 320, "height": 568}, "light"))
    for viewport, scheme in looks:
        page = opened("about:blank", viewport=viewport, color_scheme=scheme)
        complaints: list[str] = []
        page.on("console", lambda message, told=complaints: told.append(message.text))
        page.on("pageerror", lambda error, told=complaints: told.append(str(error)))
        page.goto(f"{hub.address}/forms/contact")
        assert_accessible(page)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_be_focused()
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert [text for text in complaints if "422" not in text] == []
