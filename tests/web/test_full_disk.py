"""Full disks: 503 before the database breaks and when it does, and all-clear once there is room."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from hub.core.models import StoredEvent, StoredRequest
from hub.core.monitoring.storage import GIB
from hub.gateways import disk_watch
from hub.gateways.database.engine import open_database
from tests.running import RunningHub, stripe_event, stripe_signature, until
from tests.small_disk import fill, mounted
from tests.stores import RedisServer
from tests.web.calling import call, make_app
from tests.web.serving import CONFIG, Answer, Web

MIB = 1024**2
SEEN_WITHIN_S = 30
LEAD = urlencode({"email": "jane@example.com"}).encode()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Disk:
    """Disk whose free bytes a test says; the app looks at it when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 500 * GIB
        monkeypatch.setattr(disk_watch, "disk_usage", lambda _: self._usage())

    def _usage(self) -> SimpleNamespace:
        return SimpleNamespace(total=1000 * GIB, free=self.free)

    def has(self, app: Flask, free: int) -> None:
        self.free = free
        app.extensions["hub"].disk.look()


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def app(tmp_path, sqlite_url, disk) -> Flask:
    return make_app(tmp_path, sqlite_url)


def signed(app: Flask, event_id: str) -> Answer:
    body = stripe_event(event_id)
    return call(app, body, {"Stripe-Signature": stripe_signature(body)})


def stored(url: str, column: Any = StoredRequest.id) -> set[Any]:
    database = open_database(url, pool_size=1)
    with database.read() as connection:
        found = set(connection.execute(select(column)).scalars())
    database.engine.dispose()
    return found


def test_without_room_webhooks_and_forms_are_503_and_come_in_once_there_is(
    app, disk, sqlite_url
) -> None:
    disk.has(app, GIB - 100 * MIB)
    refused = [signed(app, "evt_1"), call(app, LEAD, FORM, path="/forms/plain")]
    assert [one.status for one in refused] == [503, 503]
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert b"Nothing was kept" in refused[1].body
    assert call(app, b"{}", {"Stripe-Signature": "t=1,v1=0"}).status == 401, "and leaves no trace"
    assert stored(sqlite_url) == set()
    disk.has(app, GIB + MIB)
    assert signed(app, "evt_1").status == 503, "not before there is some room to spare"
    disk.has(app, 2 * GIB)
    assert signed(app, "evt_1").status == 200
    assert call(app, LEAD, FORM, path="/forms/plain").status == 200
    assert len(stored(sqlite_url)) == 2


def test_readyz_speaks_of_storing_and_names_what_else_is_wrong(app, disk) -> None:
    def ready() -> tuple[int, dict[str, object]]:
        answer = call(app, path="/readyz", method="GET")
        return answer.status, json.loads(answer.body)

    disk.has(app, 500 * GIB)
    assert ready() == (200, {"status": "ready"})
    disk.has(app, 9 * GIB)
    status, low = ready()
    assert (status, low["status"]) == (200, "ready")
    assert "9.0 GiB of 1000.0 GiB are free" in low["troubles"][0]
    disk.has(app, GIB // 4)
    status, full = ready()
    assert (status, full["status"]) == (503, "not ready")
    assert "webhooks and forms are refused" in full["troubles"][0]
    assert call(app, path="/healthz", method="GET").status == 200
    assert call(app, path="/sign-in", method="GET").status == 200


def test_postgresql_elsewhere_stores_whatever_the_disk_of_redis_says(
    tmp_path, postgresql_url, disk
) -> None:
    app = make_app(tmp_path, postgresql_url, REDIS_URL="", HUB_VAR=str(tmp_path / "var"))
    disk.has(app, 0)
    assert signed(app, "evt_1").status == 200
    answer = call(app, path="/readyz", method="GET")
    assert answer.status == 200
    assert "wake-ups come late" in json.loads(answer.body)["troubles"][0]


def test_a_hub_that_writes_nothing_here_watches_nothing(tmp_path, postgresql_url, disk) -> None:
    app = make_app(tmp_path, postgresql_url)
    disk.has(app, 0)
    assert (signed(app, "evt_1").status, app.extensions["hub"].disk.alerts) == (200, {})


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    with mounted(tmp_path / "small") as folder:
        yield folder


def test_when_the_disk_is_really_full_what_was_acknowledged_is_stored_and_the_rest_is_503(
    tmp_path, small_disk, sqlite_url, disk
) -> None:
    """The watch is blind here: the database itself has to say it."""
    url = f"sqlite:///{small_disk}/hub.db"
    copyfile(sqlite_url.removeprefix("sqlite:///"), small_disk / "hub.db")
    app = make_app(tmp_path, url)
    assert signed(app, "evt_before").status == 200
    filler = fill(small_disk)
    answers = {f"evt_{n}": signed(app, f"evt_{n}").status for n in range(40)}
    forms = [call(app, LEAD, FORM, path="/forms/plain").status for _ in range(3)]
    forged = [call(app, b"x" * 9000, {"Stripe-Signature": "t=1,v1=0"}).status for _ in range(3)]
    pages = [
        call(app, path=path, method="GET").status for path in ("/healthz", "/sign-in", "/readyz")
    ]
    filler.unlink()
    assert set(answers.values()) <= {200, 503}
    assert 503 in answers.values(), "it never was full"
    assert set(forms) == {503}
    assert set(forged) <= {401, 503}
    assert pages[:2] == [200, 200]
    assert pages[2] in (200, 503)
    again = {event_id: signed(app, event_id).status for event_id in answers}
    assert set(again.values()) == {200}
    assert stored(url, StoredEvent.external_id) >= {"evt_before", *answers}


def test_a_running_hub_refuses_in_time_and_takes_in_again_by_itself(
    tmp_path, small_disk, sqlite_url, redis_server: RedisServer
) -> None:
    url = f"sqlite:///{small_disk}/hub.db"
    copyfile(sqlite_url.removeprefix("sqlite:///"), small_disk / "hub.db")
    running = RunningHub(tmp_path, database_url=url, redis_url=redis_server.url, config=CONFIG)
    with running:
        running.start("web")
        web = Web(running, url)
        assert web.send(stripe_event("evt_1")).status == 200
        filler = fill(small_disk)
        brims = [web.send(stripe_event(f"evt_brim_{n}")).status for n in range(20)]
        assert set(brims) <= {200, 503}
        until(lambda: running.get("/readyz") == 503, SEEN_WITHIN_S, "the disk to be seen")
        refused = web.send(stripe_event("evt_2"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "10")
        form = web.send(LEAD, ("Content-Type", FORM["Content-Type"]), path="/forms/plain")
        assert form.status == 503
        assert running.get("/sign-in") == 200
        assert web.send(b"{}", ("Stripe-Signature", "t=1,v1=0")).status == 401
        filler.unlink()
        until(lambda: running.get("/readyz") == 200, SEEN_WITHIN_S, "the room to be seen")
        assert web.send(stripe_event("evt_2")).status == 200
        taken = {f"evt_brim_{n}" for n, status in enumerate(brims) if status == 200}
        assert stored(url, StoredEvent.external_id) >= taken | {"evt_1", "evt_2"}
        web.store.engine.dispose()
        assert "webhooks and forms are refused" in running.logs()
