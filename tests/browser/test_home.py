"""Start page, sources and destinations in a real browser: user stories and accessibility."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from sqlalchemy import select, update

from hub.core.models import Delivery, Lane, StoredEvent
from hub.core.monitoring import alerts
from hub.gateways.database.engine import Database, open_database
from tests.browser.conftest import assert_accessible
from tests.far_end import FarEnd
from tests.running import until
from tests.screenshots import posts
from tests.screenshots.story import CONFIG, environ
from tests.screenshots.town import STOPPED, World, customers

PAGES = (
    "/", "/held", "/sources", "/sources/stripe", "/sources/contact",
    "/sources/stripe/sample?type=payment_intent.succeeded", "/destinations", "/destinations/sms",
)  # fmt: skip
NASTY = ("\"><img src=x onerror=alert(1)>", "{{7*7}}", "javascript:alert(1)", "\u202egnp.exe",
         "x" * 5000, "\x01\x1b[2J")  # fmt: skip


@pytest.fixture
def world() -> Iterator[str]:
    with FarEnd(World().behave) as far_end:
        yield far_end.url


@pytest.fixture
def database(sqlite_url) -> Iterator[Database]:
    database = open_database(sqlite_url)
    yield database
    database.engine.dispose()


def pay(hub, number: int, *, amount: int = 50_000) -> None:
    """Post a payment of a customer who has opted out by STOP."""
    who = customers()[STOPPED][0]
    paid = posts.stripe("payment_intent.succeeded", number, datetime.now(UTC), who, amount)
    assert hub.post(paid.body) == 200


def test_a_failed_payment_text_is_found_and_understood(running, visit, world):
    hub = running(CONFIG, **environ(world))
    hub.start("worker", "clock")
    pay(hub, 1)
    until(lambda: hub.deliveries(state="failed"), 20, "the text to fail")
    page = visit(hub, "/")
    card = page.locator("article", has_text="answered STOP")
    expect(card).to_contain_text("1 delivery to sms.send failed")
    card.get_by_role("button", name="See and replay").click()
    expect(page.locator("main")).to_contain_text("answered STOP")
    page.get_by_role("link", name="Peter Lindqvist paid").first.click()
    expect(page.locator("h1")).to_contain_text("paid $500.00")
    expect(page.locator("main")).to_contain_text("Do not text this person")


def test_a_paused_destination_goes_on_at_the_press_of_a_button(running, visit, world):
    hub = running(CONFIG, **environ(world))
    assert hub.run("pause", "books").returncode == 0
    hub.start("worker", "clock")
    pay(hub, 1, amount=100)
    page = visit(hub, "/")
    card = page.locator("article", has_text="books is paused")
    expect(card).to_contain_text("1 delivery waits")
    card.get_by_role("button", name="Let it go on").click()
    expect(page.get_by_role("status")).to_contain_text("books goes on")
    expect(page.locator("article", has_text="books is paused")).to_have_count(0)
    until(lambda: hub.deliveries(destination="books", state="succeeded"), 15, "it to go on")


def test_a_sample_is_sent_and_seen(running, visit, world):
    page = visit(running(CONFIG, **environ(world)), "/sources")
    page.get_by_role("link", name="stripe").click()
    expect(page.locator("main")).to_contain_text("/webhooks/stripe")
    page.get_by_role("button", name="See what it would do…").click()
    expect(page.locator("main")).to_contain_text("It reaches books, crm, email, live")
    page.get_by_role("button", name="Send it, live").click()
    expect(page.get_by_role("status")).to_contain_text("The sample came in")
    expect(page.locator("main")).to_contain_text("Jane Doe paid $129.00")


@pytest.mark.parametrize(
    ("dark", "narrow"), [(False, False), (True, True)], ids=["wide-light", "narrow-dark"]
)
def test_every_page_is_for_everybody_and_whatever_is_in_it_does_nothing(
    running, visit, world, database, dark, narrow
):
    hub = running(CONFIG, **environ(world))
    fill(hub, database)
    page = visit(hub, "/", dark=dark, narrow=narrow)
    page.on("dialog", lambda one: pytest.fail(f"a script of a stranger said {one.message}"))
    for path in PAGES:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert page.locator("img[src='x'], a[href^='javascript']").count() == 0, path


def test_every_empty_page_is_for_everybody(running, visit):
    hub = running("site: {name: New}\n")
    page = visit(hub, "/", dark=True)
    for path in ("/", "/held", "/sources", "/destinations"):
        page.goto(path)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_the_page_renews_itself_and_leaves_one_where_one_was(running, visit, world):
    hub = running(CONFIG, **environ(world))
    assert hub.run("pause", "books").returncode == 0
    page = visit(hub, "/")
    page.get_by_text("The same as a table").click()
    page.locator("#mend-2").focus()
    page.evaluate("document.querySelector('#now').dataset.old = 'yes'")
    page.evaluate("htmx.ajax('GET', '/', {target: '#now', select: '#now', swap: 'outerHTML'})")
    expect(page.locator("#now[data-old]")).to_have_count(0)
    expect(page.locator("#as-table")).to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.id") == "mend-2"


def fill(hub, database: Database) -> None:
    """Fill every page with rows of each kind, with hostile texts in them."""
    now = datetime.now(UTC)
    for number in range(len(NASTY)):
        pay(hub, number, amount=45_000 + number)
    with database.write() as connection:
        failed = connection.execute(select(Delivery.id).where(Delivery.destination == "sms"))
        for nasty, delivery_id in zip(NASTY, failed.scalars().all(), strict=True):
            connection.execute(
                update(Delivery)
                .where(Delivery.id == delivery_id)
                .values(state="failed", error=nasty, finished_at=now, next_attempt_at=None)
            )
            alerts.begin(connection, nasty[:80], nasty, nasty, now=now)
        connection.execute(
            update(Lane)
            .where(Lane.destination == "chat")
            .values(blocked_reason=NASTY[0], setbacks=1, blocked_until=now)
        )
        held = select(StoredEvent.id).limit(1).scalar_subquery()
        data = {"name": NASTY[0], "email": NASTY[3], "message": NASTY[4]}
        connection.execute(
            update(StoredEvent)
            .where(StoredEvent.id == held)
            .values(state="held", held_reason=NASTY[0], data=data)
        )
