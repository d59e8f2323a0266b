"""Screenshot command `python -m tests.screenshots [FOLDER]`: pages, wide/narrow, light/dark.

The two that README.md shows are also stored small enough for it.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Select, select

from hub.core.auth.roles import Role
from hub.core.models import Delivery, StoredEvent
from hub.gateways.database.engine import Database, open_database
from hub.gateways.database.migrations import upgrade
from tests.browser.conftest import ARGUMENTS, CHROMIUM, MISSING, NARROW, WIDE
from tests.dashboard.board import SECRET_KEY, add_session, cookie
from tests.running import RunningHub
from tests.screenshots.story import telling
from tests.stores import RedisServer, store_folder

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 200_000
# The clock completes its first round before the pictures are made.
FIRST_ROUND_MS = 8000

PATHS = {
    "now": "/",
    "events": "/events",
    "deliveries": "/deliveries",
    "deliveries-failed": "/deliveries?state=failed",
    "unknown": "/unknown",
    "replays": "/replays",
    "held": "/held",
    "sources": "/sources",
    "source": "/sources/stripe",
    "source-refused": "/sources/sendgrid",
    "sample": "/sources/stripe/sample?type=payment_intent.succeeded",
    "destinations": "/destinations",
    "destination": "/destinations/sms",
    "destination-blocked": "/destinations/chat",
    "account": "/account",
    "users": "/users",
    "audit": "/audit",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("var/screenshots"))
@click.option("--readme/--no-readme", default=True, help="Make the README's two anew as well.")
def screenshots(folder: Path, *, readme: bool) -> None:
    """Make a picture of every page in FOLDER."""
    if CHROMIUM is None:
        sys.exit(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    with _hub() as (hub, database), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        paths = PATHS | _of_this_story(database)
        token = _signed_in(database)
        for dark in (False, True):
            for narrow in (False, True):
                page = _page(browser, hub, token, dark=dark, narrow=narrow)
                page.wait_for_timeout(FIRST_ROUND_MS if not (dark or narrow) else 0)
                look = f"{'narrow' if narrow else 'wide'}-{'dark' if dark else 'light'}"
                for name, path in paths.items():
                    _take(page, path, folder / f"{name}-{look}.png")
        if readme:
            _take_readmes(_page(browser, hub, token, dark=False, narrow=False), paths)
        browser.close()


@contextmanager
def _hub() -> Iterator[tuple[RunningHub, Database]]:
    folder = Path(tempfile.mkdtemp(prefix="hub-screenshots-"))
    url = f"sqlite:///{folder}/hub.db"
    upgrade(url)
    try:
        with store_folder() as stores:
            redis = RedisServer(stores)
            redis.start()
            with telling(folder, database_url=url, redis_url=redis.url) as hub:
                yield hub, open_database(url)
            redis.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _of_this_story(database: Database) -> dict[str, str]:
    """Return the pages of some events: a failed text, a lead, and an unknown outcome."""
    failed = select(Delivery.event_id).where(Delivery.state == "failed")
    wanted: dict[str, Select[Any]] = {
        "event": failed.order_by(Delivery.id),
        "event-lead": select(StoredEvent.id).where(StoredEvent.type == "lead.submitted"),
        "event-unknown": select(Delivery.event_id).where(Delivery.state == "unknown"),
    }
    with database.read() as connection:
        found = {
            name: connection.execute(statement.limit(1)).scalar_one_or_none()
            for name, statement in wanted.items()
        }
    return {name: f"/events/{event_id}" for name, event_id in found.items() if event_id}


def _signed_in(database: Database) -> str:
    with database.write() as connection:
        return add_session(
            connection, Role.ADMIN, name="grace", sees_personal=True, now=datetime.now(UTC)
        )


def _page(browser: Browser, hub: RunningHub, token: str, *, dark: bool, narrow: bool) -> Page:
    context = browser.new_context(
        viewport=NARROW if narrow else WIDE,  # type: ignore[arg-type]
        color_scheme="dark" if dark else "light",
        base_url=hub.address,
    )
    signer = Flask("signer")
    signer.secret_key = SECRET_KEY
    value = cookie(signer, {"token": token, "csrf_token": "0" * 40})
    context.add_cookies([{"name": "hub", "value": value, "url": hub.address}])
    return context.new_page()


def _take(page: Page, path: str, target: Path) -> None:
    answer = page.goto(path)
    assert answer is not None
    fits = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=target, full_page=True)
    oddity = "" if answer.status == 200 else f"  answered {answer.status}"
    click.echo(f"{target}{oddity}{'' if fits else '  scrolls sideways'}")


def _take_readmes(page: Page, paths: dict[str, str]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in ("now", "event"):
        page.goto(paths[name])
        target = IMAGES / f"{name}.png"
        page.screenshot(path=target)
        size = target.stat().st_size
        assert size <= MOST_BYTES, f"{target} has {size} bytes"
        click.echo(str(target))


if __name__ == "__main__":
    screenshots()
