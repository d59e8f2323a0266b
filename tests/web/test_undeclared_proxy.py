"""Proxy that `HUB_PROXY_HOPS` does not count: noticed, told, and one limit for all behind it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select, update

from hub.cli.check import check_everything
from hub.cli.checks import NOTE
from hub.core.models import Alert, Heartbeat, StoredEvent
from hub.core.monitoring import alerts, proxies
from hub.gateways.database.engine import open_database
from hub.web.proxy_watch import LEAST_REQUESTS, WINDOW_S, WINDOWS, ProxyWatch
from tests.running import RunningHub, stripe_event, stripe_signature, until
from tests.web.calling import call, make_app

PUBLIC_URL = "http://127.0.0.1"
NEARBY, STRANGER = "10.0.0.1", "203.0.113.7"

Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path, database_url: str) -> Iterator[Make]:
    apps: list[Flask] = []

    def make(**environ: str) -> Flask:
        apps.append(make_app(tmp_path, database_url, **{"HUB_PUBLIC_URL": PUBLIC_URL} | environ))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["hub"].store.engine.dispose()


class Notes(ProxyWatch):
    """Watch that counts its writes and does not make them, by a clock that the test moves on."""

    def __init__(self, **given: Any) -> None:
        self.at_s = 0.0
        rules = {"proxy_hops": 0, "is_public": True} | given
        super().__init__(None, clock=lambda: self.at_s, **rules)
        self.count = 0

    def _begin(self) -> None:
        self.count += 1

    def windows(
        self, peer: str, *, times: int = WINDOWS, header: str = "x-forwarded-for",
        clients: int = 5, bare: int = 0, bare_peer: str = "192.0.2.9", path: str = "/",
    ) -> int:  # fmt: skip
        """See windows of forwarded requests, of which `bare` lack the header; return `count`.

        `{n}` in `peer` is the number of the request.
        """
        for _ in range(times):
            for n in range(LEAST_REQUESTS - bare):
                said = {header: f"198.51.100.{n % clients}"}
                self.see("/", peer.format(n=n), said)
            self.at_s += WINDOW_S
            for _ in range(bare):
                self.see(path, bare_peer, {})
            self.see("/", peer.format(n=0), {header: "198.51.100.1"})
        return self.count


def is_seen(app: Flask) -> bool:
    with app.extensions["hub"].store.read() as connection:
        return proxies.is_seen(connection)


def told(app: Flask) -> list[str]:
    with app.extensions["hub"].store.read() as connection:
        return sorted(alerts.open_kinds(connection))


def post(app: Flask, n: int, *, remote: str = NEARBY, **headers: str) -> int:
    form = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    return call(
        app, f"email=a{n}%40acme.example".encode(), form, path="/forms/plain", remote=remote
    ).status


def held(app: Flask) -> int:
    with app.extensions["hub"].store.read() as connection:
        reasons = connection.execute(select(StoredEvent.held_reason)).scalars()
        return sum(bool(reason) for reason in reasons)


def test_forms_have_one_limit_for_all_behind_it_and_for_nobody_else(make):
    app = make()
    for n in range(21):
        assert post(app, n, **{"X-Forwarded-For": f"198.51.100.{n}"}) == 200
    assert held(app) == 1
    for n in range(100, 105):
        assert post(app, n, remote=STRANGER, **{"X-Forwarded-For": "10.0.0.1"}) == 200
        assert post(app, n + 50, remote=f"203.0.113.{n}") == 200
    assert held(app) == 1


def test_a_proxy_that_is_counted_gives_each_visitor_a_limit(make):
    app = make(HUB_PROXY_HOPS="1")
    for n in range(40):
        assert post(app, n, **{"X-Forwarded-For": f"198.51.100.{n % 4}"}) == 200
    assert held(app) == 0


def test_it_is_told_by_log_alert_and_check_until_it_is_counted(
    make, caplog, tmp_path, database_url
):
    app = make()
    call(app, path="/webhooks/none", remote=NEARBY, headers={"X-Forwarded-For": "198.51.100.1"})
    until(lambda: is_seen(app), 30, "the note of the proxy")
    assert caplog.text.count("HUB_PROXY_HOPS is 0") == 1
    assert "198.51.100.1" not in caplog.text
    assert told(app) == [alerts.UNDECLARED_PROXY]
    environ = {
        "DATABASE_URL": database_url.replace("+psycopg", ""), "HUB_PUBLIC_URL": PUBLIC_URL,
        "HUB_CONFIG": str(tmp_path / "hub.yaml"), "HUB_VAR": str(tmp_path / "var"),
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }  # fmt: skip
    checked = [one for one in check_everything(environ) if one.subject == "proxy"]
    assert [one.level for one in checked] == [NOTE]
    for words in ("Anybody can write that header", "its log", "leave it as it is"):
        assert words in checked[0].message
        assert words in caplog.text
    counted = make(HUB_PROXY_HOPS="1")
    assert post(counted, 2, **{"X-Forwarded-For": "198.51.100.1"}) == 200
    until(lambda: not told(app), 30, "the end of the alert")
    assert not is_seen(app)
    assert not [one for one in check_everything(environ) if one.subject == "proxy"]


def test_the_alert_ends_a_day_after_the_last_such_request(make):
    app, now = make(), datetime.now(UTC)
    with app.extensions["hub"].store.write() as connection:
        proxies.note(connection, now=now)
        proxies.end_alert(connection, now=now)
        assert alerts.open_kinds(connection) == {alerts.UNDECLARED_PROXY}
        connection.execute(update(Heartbeat).values(at=now - 2 * proxies.LASTS))
        proxies.end_alert(connection, now=now)
        assert alerts.open_kinds(connection) == set()


def test_an_alert_that_was_put_aside_is_not_begun_again_while_it_lasts(make):
    app, now = make(), datetime.now(UTC)
    with app.extensions["hub"].store.write() as connection:
        proxies.note(connection, now=now)
        alert_id = connection.execute(select(Alert.id)).scalar_one()
        alerts.end_one(connection, alert_id, now=now)
        proxies.note(connection, now=now)
        assert alerts.open_kinds(connection) == set()
        connection.execute(update(Heartbeat).values(at=now - 2 * proxies.LASTS))
        proxies.note(connection, now=now)
        assert alerts.open_kinds(connection) == {alerts.UNDECLARED_PROXY}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"peer": NEARBY, "times": 1, "bare": 5, "bare_peer": NEARBY}, True),
        ({"peer": "unix:", "times": 1}, True),
        ({"peer": NEARBY, "header": "cf-connecting-ip", "clients": 1, "times": 1}, True),
        ({"peer": STRANGER}, True),
        ({"peer": STRANGER, "times": WINDOWS - 1}, False),
        ({"peer": STRANGER, "bare": 3, "path": "/healthz", "times": 6}, True),
        ({"peer": STRANGER, "bare": 3, "bare_peer": NEARBY, "times": 6}, True),
        ({"peer": STRANGER, "bare": 1}, False),
        ({"peer": STRANGER, "clients": 2}, False),
        ({"peer": "203.{n}.113.7"}, False),
    ],
)
def test_one_request_from_nearby_or_windows_of_them_from_the_internet_are_evidence(given, seen):
    assert (Notes().windows(**given) > 0) is seen


def test_what_a_stranger_forges_is_no_evidence():
    """One of them writes as many requests as they like, the providers some without the header."""
    watch = Notes()
    for _ in range(10):
        for n in range(20 * LEAST_REQUESTS):
            watch.see("/", STRANGER, {"x-forwarded-for": f"198.51.100.{n % 250}"})
        watch.at_s += WINDOW_S / 2
        watch.see("/webhooks/stripe", "192.0.2.9", {})
        watch.at_s += WINDOW_S / 2
    assert watch.count == 0
    assert watch.windows(STRANGER, bare=1, times=1) == 0
    assert watch.windows(STRANGER, times=WINDOWS - 1) == 0
    assert Notes(is_public=False).windows(NEARBY) == 0
    assert Notes(proxy_hops=1).windows(NEARBY) == 1


def test_webhooks_that_never_reach_flask_are_looked_at_too(tmp_path, sqlite_url, redis_url):
    environ = {"HUB_PUBLIC_URL": PUBLIC_URL, "FAR_END": "http://127.0.0.1:1", "HUB_PROXY_HOPS": "1"}
    with RunningHub(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, environ=environ
    ) as running:
        database = open_database(sqlite_url)
        with database.write() as connection:
            proxies.note(connection, now=datetime.now(UTC))
        running.start("web")
        body = stripe_event("evt_1")
        headers = {"Stripe-Signature": stripe_signature(body), "X-Real-IP": "198.51.100.1"}
        url = f"{running.address}/webhooks/stripe"
        assert requests.post(url, data=body, headers=headers, timeout=30).status_code == 200

        def is_forgotten() -> bool:
            with database.read() as connection:
                return not proxies.is_seen(connection)

        until(is_forgotten, 30, "the end of the alert")
        database.engine.dispose()
