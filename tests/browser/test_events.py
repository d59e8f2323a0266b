"""Event pages in a real browser: search, detail, replay, edited copies, and hostile payloads."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from adapters import InboundRequest
from hub.core.configuration import Configuration, Source
from hub.core.inbound.ingest import ingest, store_rejected
from hub.core.inbound.receive import Receiver
from hub.core.inbound.routing import Router
from hub.core.models import Delivery, StoredEvent
from hub.core.search.indexer import index_some
from hub.gateways.database.engine import open_database
from tests.browser.conftest import assert_accessible
from tests.core.making import Provider
from tests.far_end import FarEnd, Reply
from tests.running import stripe_event, until

NAUGHTY = [
    text
    for text in json.loads(
        (Path(__file__).parents[1] / "fixtures/naughty-strings/blns.json").read_text("utf-8")
    )
    if text
]
AT_ONCE = 50
INERT = """() => ({
  handlers: [...document.querySelectorAll("*")].filter(
    (one) => [...one.attributes].some((a) => a.name.startsWith("on"))).length,
  scripts: document.querySelectorAll("script").length,
  odd: document.querySelectorAll(
    "iframe, object, embed, video, audio, svg, style, base, math, form[action^='http']").length,
  images: document.querySelectorAll("img").length,
  links: [...document.querySelectorAll("a[href]")].filter(
    (one) => !["http:", "https:"].includes(one.protocol)).length,
})"""


@pytest.fixture
def database(sqlite_url):
    database = open_database(sqlite_url, pool_size=2)
    yield database
    database.engine.dispose()


def event_id(database, external_id: str) -> Any:
    with database.read() as connection:
        return connection.execute(
            select(StoredEvent.id).where(StoredEvent.external_id == external_id)
        ).scalar_one()


def states(database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(Delivery.state).order_by(Delivery.id)).scalars())


def failed(running, far_end, database, *names: str):
    """Return a running hub on which deliveries of payments of these ids failed."""
    hub = running(FAR_END=far_end.url)
    hub.start("worker", "clock")
    for name in names:
        assert hub.post(stripe_event(name)) == 200
    until(lambda: states(database) == ["failed"] * len(names), 20, "the deliveries to fail")
    return hub


def test_an_event_is_found_by_its_address_read_and_replayed(running, visit, database):
    with FarEnd(lambda _: Reply(400, b'{"error": "no such field"}')) as far_end:
        hub = failed(running, far_end, database, "evt_1")
        far_end.behave = lambda _: Reply()
        page: Page = visit(hub, "/events", narrow=True)
        page.get_by_label("Find").fill("Jane@Example.com")
        page.get_by_label("Find").press("Enter")
        page.get_by_role("link", name="jane@example.com paid $42.00").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("jane@example.com paid $42.00")
        delivery = page.locator("#deliveries article")
        expect(delivery).to_contain_text("failed")
        expect(delivery).to_contain_text("refused it as wrong")
        delivery.get_by_role("button", name="Replay…").click()
        expect(page.get_by_role("main")).to_contain_text("will be sent again")
        page.get_by_role("button", name="Replay it").click()
        expect(page.get_by_role("status")).to_have_text("On its way.")
        expect(page.locator("#deliveries article > header")).to_contain_text(
            "succeeded", timeout=15_000
        )
        assert len(far_end.received) == 2


def test_a_copy_is_edited_and_run(running, visit, database):
    with FarEnd() as far_end:
        hub = running(FAR_END=far_end.url)
        hub.start("worker")
        assert hub.post(stripe_event("evt_1")) == 200
        until(lambda: states(database) == ["succeeded"], 20, "the delivery")
        page: Page = visit(hub, f"/events/{event_id(database, 'evt_1')}")
        page.get_by_role("button", name="Edit a copy…").click()
        area = page.get_by_label("What it says, as JSON")
        area.fill("{")
        page.get_by_role("button", name="Make the copy").click()
        expect(page.get_by_role("alert")).to_be_visible()
        area.fill('{"email": "joe@example.com", "amount": 9900, "currency": "USD"}')
        page.get_by_role("button", name="Make the copy").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("joe@example.com paid $99.00")
        expect(page.get_by_role("main")).to_contain_text("A copy that admin made")
        until(lambda: states(database) == ["succeeded"] * 2, 20, "the copy's delivery")
        page.get_by_role("link", name="this event").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("jane@example.com paid $42.00")


def test_two_admins_replay_the_same_at_once_and_it_runs_once(running, visit, database):
    with FarEnd(lambda _: Reply(400)) as far_end:
        hub = failed(running, far_end, database, "evt_1")
        hub.kill("worker")
        path = f"/events/{event_id(database, 'evt_1')}/replay"
        pages = [visit(hub, path, name=name) for name in ("ann", "bob")]
        for page in pages:
            page.get_by_role("button", name="Replay it").click(no_wait_after=True)
        words = [page.get_by_role("status").inner_text() for page in pages]
        assert sorted(words) == ["Already on its way: somebody was quicker. It runs once.",
                                 "On its way."]  # fmt: skip
        far_end.behave = lambda _: Reply()
        hub.start("worker")
        until(lambda: states(database) == ["succeeded"], 20, "the one replay")
        assert len(far_end.received) == 2


def test_new_events_appear_on_top_until_the_switch_is_off(running, visit):
    hub = running()
    page: Page = visit(hub, "/events")
    expect(page.get_by_text("No events yet")).to_be_visible()
    assert hub.post(stripe_event("evt_1")) == 200
    rows = page.locator("#events tbody tr")
    expect(rows).to_have_count(1, timeout=8000)
    expect(page.get_by_text("No events yet")).to_have_count(0)
    assert hub.post(stripe_event("evt_2", amount=100, amount_received=100)) == 200
    expect(rows).to_have_count(2, timeout=8000)
    expect(rows.first).to_contain_text("paid $1.00")
    page.get_by_label("New events appear by themselves").uncheck()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3500)  # longer than the polling interval
    assert asked == []


def naughty_events(database) -> list[Any]:
    """Ingest one event per naughty string, some with dozens of them in fields and headers."""
    configuration = Configuration(version="0" * 12, sources={})
    sources = {"provider": Source("provider", "provider", {})}
    receiver = Receiver(sources, {"provider": Provider()}, Router(configuration))
    at = datetime.now(UTC) - timedelta(hours=1)
    ids = []
    with database.write() as connection:
        for n in range(0, len(NAUGHTY), AT_ONCE):
            texts = NAUGHTY[n : n + AT_ONCE]
            for m, text in enumerate(texts):
                data: dict[str, Any] = {"name": text, "email": text, "message": text}
                headers = {"key": "good"}
                if m == 0:
                    data["fields"] = {each: each for each in texts}
                    headers |= {each: each for each in texts}
                event = {"id": f"e{n}-{m}", "type": text, "native_type": text, "data": data}
                request = InboundRequest(
                    "POST", f"http://hub/{text}".replace("\x00", ""), headers,
                    json.dumps([event]).encode("utf-8", "surrogatepass"),
                    at + timedelta(milliseconds=n + m),
                )  # fmt: skip
                prepared = receiver.prepare_verified(request, "provider", "good")
                ids += ingest(connection, prepared).new_event_ids[: m == 0]
        while index_some(connection, most=200):
            pass
    return ids


def test_nothing_that_strangers_send_comes_to_life(running, visit, database):
    ids = naughty_events(database)
    assert len(ids) == 11
    page: Page = visit(running(), "/account")
    dialogs, complaints = [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    wanted = {"handlers": 0, "scripts": 2, "odd": 0, "images": 1, "links": 0}
    page.goto("/events")
    shown = 0
    while True:
        shown += page.locator("#events tbody tr").count()
        assert page.evaluate(INERT) == wanted, page.url
        older = page.get_by_role("button", name="Older →")
        if not older.count():
            break
        with page.expect_navigation():  # a click alone may return before the next page is whole
            older.click()
    assert shown == len(NAUGHTY)
    for one in ids:
        page.goto(f"/events/{one}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate(INERT) == wanted, page.url
    assert page.locator("dl.tree dt").count() > 10
    assert dialogs == []
    assert complaints == []


@pytest.mark.parametrize(("dark", "narrow"), [(False, False), (True, True)], ids=["day", "night"])
def test_every_page_of_events_is_for_everybody(running, visit, database, dark, narrow):
    hub = running()
    at = datetime.now(UTC)
    page: Page = visit(hub, "/events", dark=dark, narrow=narrow)
    assert_accessible(page)
    assert hub.post(stripe_event("evt_1", shipping={"name": "Jane Doe " * 20})) == 200
    with database.write() as connection:
        request = InboundRequest("POST", f"{hub.address}/webhooks/stripe", {}, b"{}", at)
        rejected = store_rejected(connection, source="stripe", request=request, reason="too old")
    wanted = event_id(database, "evt_1")
    for path in ("/events", "/events?q=nobody", f"/events/{wanted}", f"/events/{wanted}/replay",
                 f"/events/{wanted}/copy", f"/requests/{rejected}"):  # fmt: skip
        page.goto(path)
        page.evaluate("document.querySelectorAll('main details').forEach((o) => (o.open = true))")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
