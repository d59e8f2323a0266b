"""Replays in a real browser, on a hub with running processes: complete, partial, concurrent."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select, update

from hub.core.auth.roles import Role
from hub.core.models import Delivery
from hub.gateways.database.engine import open_database
from tests.browser.conftest import assert_accessible
from tests.dashboard.delivering import JANE, TOWN, doubt, put, try_once
from tests.far_end import FarEnd, Reply
from tests.running import until

HOSTILE = [
    '"><img src=x onerror=alert(1)>', "{{7*7}}<script>alert(2)</script>", "javascript:alert(3)",
    "'-alert(4)-'", "\u202etxet desrever\u202c", "x" * 10_000, "a\x01\x02\x1bb",
    "</textarea><svg onload=alert(5)>",
]  # fmt: skip
PATIENT_MS = 60_000


@pytest.fixture
def write(sqlite_url):
    """Insert deliveries into the hub's database: `write(put, 3, state="failed")`."""
    database = open_database(sqlite_url)

    def make(how, *args, **values):
        with database.write() as connection:
            return how(connection, *args, **values)

    make.database = database
    yield make
    database.engine.dispose()


def states(write) -> list[str]:
    with write.database.read() as connection:
        return list(connection.execute(select(Delivery.state)).scalars())


def start_from_the_list(page, rate: str) -> None:
    page.get_by_role("button", name="Replay all that match").click()
    page.get_by_label(rate).check()
    page.get_by_role("button", name="Start:").click()
    page.wait_for_url("**/replays/*-*")


def test_what_failed_is_mended_and_replayed_under_ones_eyes(running, visit, write):
    with FarEnd(lambda _: Reply(400)) as far_end:
        hub = running(TOWN, FAR_END=far_end.url)
        write(put, 500, state="pending", error=None, next_attempt_at=None, finished_at=None)
        with write.database.write() as connection:
            connection.execute(update(Delivery).values(next_attempt_at=Delivery.created_at))
        hub.start("worker", "clock")
        until(lambda: states(write).count("failed") == 500, 60, "all to fail")
        far_end.behave = lambda _: Reply()
        before = len(far_end.received)

        page = visit(hub, "/deliveries?state=failed")
        expect(page.get_by_text("refused it as wrong").first).to_be_visible()
        start_from_the_list(page, "All at once")
        expect(page.get_by_text("500 of 500")).to_be_visible(timeout=PATIENT_MS)
        expect(page.get_by_role("link", name="Succeeded 500")).to_be_visible(timeout=PATIENT_MS)
        assert states(write) == ["succeeded"] * 500
        sent = [one.headers["webhook-id"] for one in far_end.received[before:]]
        assert len(sent) == len(set(sent)) == 500

        write(put, 300)
        page.goto("/deliveries?state=failed")
        start_from_the_list(page, "20 a second")
        until(lambda: len(far_end.received) > before + 515, 30, "some to go")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("What had not begun stays as it was").first).to_be_visible()
        until(lambda: "pending" not in states(write) and "running" not in states(write), 30, "rest")
        went = len(far_end.received) - before - 500
        assert 15 < went < 300
        assert states(write).count("failed") == 300 - went
        page.reload()
        expect(page.get_by_text(f"{went} of 300")).to_be_visible()
        expect(page.get_by_role("link", name=f"Not begun {300 - went}")).to_be_visible()


def test_two_admins_start_the_same_at_once_and_it_is_one_replay(running, visit, write):
    hub = running(TOWN)
    write(put, 4)
    pages = [visit(hub, "/replays/preview?state=failed", name=name) for name in ("ann", "bob")]
    for page in pages:
        page.get_by_role("button", name="Start: 4 deliveries").click(no_wait_after=True)
    for page in pages:
        page.wait_for_url("**/replays/*-*")
    assert pages[0].url == pages[1].url
    said = [page.locator(".note").inner_text() for page in pages]
    assert sorted(one.partition(":")[0] for one in said) == ["Already running", "Started."]
    pages[0].goto("/replays")
    assert pages[0].locator("tbody tr").count() == 1


def test_an_unknown_text_is_settled(running, visit, write):
    hub = running(TOWN)
    write(doubt)
    page = visit(hub, "/unknown", role=Role.OPERATOR)
    expect(page.get_by_role("heading", name="Text message to +12025550101")).to_be_visible()
    page.get_by_label("How do you know?").fill("She told me that it came")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("heading", name="Send it again?")).to_be_visible()
    page.get_by_role("link", name="Not now").click()
    assert states(write) == ["unknown"]
    page.get_by_label("How do you know?").fill("She told me that it came")
    page.get_by_role("button", name="It arrived").click()
    expect(page.get_by_text("Noted: it arrived.")).to_be_visible()
    expect(page.get_by_text("Nothing is unknown")).to_be_visible()
    assert states(write) == ["succeeded"]


@pytest.mark.parametrize("look", ["wide and light", "narrow and dark"])
def test_the_pages_are_for_everybody_and_what_others_wrote_is_inert(running, visit, write, look):
    hub = running(TOWN)
    page = visit(hub, "/deliveries", dark="dark" in look, narrow="narrow" in look)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())

    def look_at(path: str) -> None:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert page.locator("main img, main script, main svg[onload]").count() == 0
        assert_accessible(page)

    for path in ("/deliveries", "/replays", "/replays/preview", "/unknown"):
        look_at(path)
    for text in HOSTILE:
        ids = write(put, 1, data=JANE | {"name": text}, error=f"x answered 400: {text}")
        write(try_once, ids, "rejected", code=text)
        write(doubt, 1, parameters={"to": text, "body": text},
              evidence=[{"at": text, "by": "webhook", "said": text}])  # fmt: skip
        with write.database.write() as connection:
            connection.execute(
                update(Delivery).where(Delivery.id.in_(ids))
                .values(route=text, destination=text, action=text)
            )  # fmt: skip
    for path in ("/deliveries", "/replays/preview", "/unknown"):
        look_at(path)
    page.goto("/replays/preview?state=failed")
    page.get_by_label("Why").fill(HOSTILE[0])
    page.get_by_role("button", name="Start:").click()
    page.wait_for_url("**/replays/*-*")
    look_at(page.url)
    look_at("/replays")
    page.goto("/unknown")
    with page.expect_navigation():  # a click alone may return before the address is the next one
        page.get_by_role("button", name="Answer all").first.click()
    look_at(page.url)
    assert dialogs == []
