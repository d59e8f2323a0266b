"""Sign-in in a real browser: first admin, second factor, and a recovery code."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from hub.core.auth import second_factor, users
from hub.core.auth.roles import Role
from hub.core.models import Session, User
from hub.gateways.database.engine import open_database
from hub.gateways.password_hashing import hash_password
from hub.gateways.totp import SecretBox
from hub.process.child import die_with_parent
from tests.browser.conftest import assert_accessible
from tests.dashboard.board import SECRET_KEY
from tests.running import ROOT, until
from tests.stores import free_port

PASSWORD = "lemon otter trail"
LOOKS = [(dark, narrow) for dark in (False, True) for narrow in (False, True)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Run `hub up` in a folder of its own; yield its address and the link that it prints."""
    port, log = free_port(), tmp_path / "up.log"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "up"],
            cwd=tmp_path,
            env=environ | {"PORT": str(port), "WEB_CONCURRENCY": "1"},
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent(),
        )
    pattern = re.compile(rf"http://127\.0\.0\.1:{port}(/welcome/[A-Za-z0-9_-]+)")
    try:
        until(lambda: pattern.search(log.read_text()), 30, "the link of `hub up`")
        found = pattern.search(log.read_text())
        assert found
        yield f"http://127.0.0.1:{port}", found[1]
    finally:
        process.terminate()
        process.wait(30)


def sign_in(page, name="jane"):
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page):
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()


def test_the_first_admin_comes_in_sets_a_factor_up_and_comes_back_with_it(browser, up):
    address, link = up
    page = browser.new_context(base_url=address).new_page()
    page.goto("/")
    assert page.url.endswith("/sign-in?next=/")
    page.goto(link)
    page.get_by_role("textbox", name="Name").fill("jane")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.get_by_text("Welcome, jane.").wait_for()

    page.goto("/account/second-factor")
    secret = page.locator("[data-copy]").get_attribute("data-copy").replace(" ", "")
    page.get_by_label("six figures").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator("ul.codes code")).to_have_count(10)
    codes = page.locator("ul.codes code").all_text_contents()
    assert_accessible(page)
    sign_out(page)

    sign_in(page)
    page.get_by_role("heading", name="Your code").wait_for()
    assert_accessible(page)
    page.goto("/events")
    assert "/sign-in" in page.url
    sign_in(page)
    page.get_by_label("Code").fill(
        pyotp.TOTP(secret).at(time.time() + 30)
    )  # of the next half minute
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/events")
    sign_out(page)

    page.goto("/events")
    sign_in(page)
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/events")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    page.goto("/account/second-factor")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Code", exact=True).fill(codes[0])
    page.get_by_role("button", name="Turn it off").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is not good")
    assert_accessible(page)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Code", exact=True).fill(codes[1])
    page.get_by_role("button", name="Turn it off").click()
    page.get_by_text("Your second factor is off").wait_for()


@pytest.mark.parametrize(("dark", "narrow"), LOOKS)
def test_the_pages_of_access_are_for_everybody(running, visit, dark, narrow):
    hub = running()
    page = visit(hub, "/sign-in", role=None, dark=dark, narrow=narrow)
    sign_in(page, "nobody")
    page.get_by_role("alert").wait_for()
    check(page)
    page = visit(hub, "/account", dark=dark, narrow=narrow)
    check(page)
    for path in ("/account/second-factor", "/users", "/audit", "/audit?actor=nobody-at-all"):
        page.goto(path)
        check(page)
    page.get_by_role("link", name="Show all").click()
    page.wait_for_url("**/audit")
    page.goto("/users")
    page.get_by_role("textbox", name="Name").fill("bob")
    page.get_by_role("button", name="Make a link").click()
    page.get_by_role("heading", name="A link for bob").wait_for()
    check(page)
    page.get_by_role("button", name="Back to the users").click()
    page.get_by_role("link", name="bob").click()
    page.wait_for_url("**/users/*-*")
    check(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("heading", name="A link for bob").wait_for()
    link = page.locator("[data-copy]").get_attribute("data-copy")
    page.reload()
    expect(page.get_by_text("what it showed is shown once")).to_be_visible()
    page.goto(link)
    page.get_by_role("heading", name="Welcome, bob").wait_for()


@pytest.mark.parametrize(("dark", "narrow"), LOOKS)
def test_who_has_a_factor_is_asked_for_its_code_and_who_is_masked_gives_no_right(
    running, visit, sqlite_url, dark, narrow
):
    hub = running()
    page = visit(hub, "/account", name="masked", sees_personal=False, dark=dark, narrow=narrow)
    database = open_database(sqlite_url)
    with database.write() as connection:
        user = users.named(connection, "masked")
        connection.execute(update(User).values(password_hash=hash_password(PASSWORD)))
        secret = SecretBox(SECRET_KEY).encrypt(pyotp.random_base32(), str(user.id))
        codes = second_factor.turn_on(
            connection, user.id, secret, 1, actor="tests", now=datetime.now(UTC)
        )
        connection.execute(update(Session).values(proved_at=datetime.now(UTC) - timedelta(hours=1)))
    database.engine.dispose()
    page.goto("/account")
    expect(page.get_by_label("Code", exact=True)).to_be_visible()
    check(page)
    page.goto("/users")
    expect(page.get_by_label("May see personal data")).to_be_disabled()
    check(page)
    page.goto("/prove?next=/users")
    check(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code", exact=True).fill("123456")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code", exact=True).fill(codes[0])
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/users")


def check(page):
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def test_a_viewer_meets_a_shut_door(running, visit):
    page = visit(running(), "/users", role=Role.VIEWER)
    expect(page.get_by_text("Your account may not do that.")).to_be_visible()
    expect(page.get_by_role("link", name="Audit log")).to_have_count(0)
    sign_out(page)
    page.goto("/")
    assert "/sign-in" in page.url
