"""Fixtures for a real browser on a real hub: Debian's Chromium under Playwright, and axe-core.

Without Chromium these tests are skipped, and the report says so; with `BROWSER=required` they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hub.core.auth.roles import Role
from hub.gateways.database.engine import open_database
from tests.dashboard.board import SECRET_KEY, add_session, cookie
from tests.running import PLAIN, RunningHub

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
MISSING = "no Chromium here: install Debian's package chromium, and run it again"
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
expect.set_options(timeout=15_000)  # a browser on a busy machine is slow
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")  # an open Playwright is a running loop to every test after it
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        missing = pytest.fail if os.environ.get("BROWSER") == "required" else pytest.skip
        missing(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def running(tmp_path: Path, sqlite_url: str, redis_url: str) -> Iterator[Callable[..., RunningHub]]:
    """Make running hubs over SQLite: `running(config)`, with `web`; the test starts the rest."""
    hubs: list[RunningHub] = []

    def make(config: str = PLAIN, **environ: str) -> RunningHub:
        folder = tmp_path / f"hub-{len(hubs)}"
        folder.mkdir()
        environ = {"SECRET_KEY": SECRET_KEY, "FAR_END": "http://127.0.0.1:1", **environ}
        hub = RunningHub(
            folder, database_url=sqlite_url, redis_url=redis_url, config=config, environ=environ
        )
        hubs.append(hub)
        hub.start("web")
        return hub

    yield make
    for hub in hubs:
        hub.__exit__()


@pytest.fixture
def visit(browser: Browser, sqlite_url: str) -> Iterator[Callable[..., Page]]:
    """Make pages of a signed-in user: `visit(hub, "/events", role=…, dark=…)`."""
    contexts: list[BrowserContext] = []

    def make(
        hub: RunningHub,
        path: str = "/",
        *,
        role: Role | None = Role.ADMIN,
        name: str | None = None,
        sees_personal: bool = True,
        dark: bool = False,
        narrow: bool = False,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport=NARROW if narrow else WIDE,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            base_url=hub.address,
            **options,
        )
        contexts.append(context)
        if role is not None:
            token = _session(sqlite_url, role, name or role.value, sees_personal)
            signer = Flask("signer")
            signer.secret_key = SECRET_KEY
            value = cookie(signer, {"token": token, "csrf_token": "0" * 40})
            context.add_cookies([{"name": "hub", "value": value, "url": hub.address}])
        page = context.new_page()
        page.goto(path)
        return page

    yield make
    for context in contexts:
        context.close()


def _session(url: str, role: Role, name: str, sees_personal: bool) -> str:
    database = open_database(url)
    with database.write() as connection:
        token = add_session(
            connection, role, name=name, sees_personal=sees_personal, now=datetime.now(UTC)
        )
    database.engine.dispose()
    return token


def assert_accessible(page: Page) -> None:
    """Assert that axe-core finds no violation on a page (WCAG 2.2 A and AA)."""
    finish = "document.getAnimations().forEach((one) => one.finish())"
    page.evaluate(finish)  # else a colour that is fading in is measured at random
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, options=options)
    assert not found.response["violations"], found.generate_report()
