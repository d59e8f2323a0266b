"""Crowd at the sign-in: hashing takes half of the threads, and the rest serve everybody else."""

import asyncio
import threading
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from hub.core.auth import users
from hub.gateways.password_hashing import HashingPlaces
from hub.settings import WEB_THREADS
from hub.web.dashboard import account, credential_check, welcome
from hub.web.dashboard.credential_check import asks_for_password
from hub.web.flask_threads import FlaskThreads
from hub.web.request_head import read_head
from tests.dashboard.board import Board, cookie
from tests.dashboard.people import PASSWORD, add, audited, sign_in
from tests.running import PLAIN, stripe_event, stripe_signature

FORM = "  contact: {adapter: form, fields: {email: {type: email, required: true}}}\n"
NEW = "seven bikes and a goat"
CROWD = 64
PLACES, TURNS = WEB_THREADS // 2, 2


class SlowHasher:
    """Stand-in for the check of a password: waits until it is let go, and counts its callers."""

    def __init__(self) -> None:
        self.go = threading.Event()
        # Passed once as many as may hash at once have come, and the test.
        self.both = threading.Barrier(TURNS + 1)
        self.most = 0
        self.calls = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, password: str, password_hash: str | None) -> bool:
        with self._lock:
            self._now += 1
            self.calls += 1
            self.most = max(self.most, self._now)
        if not self.go.is_set():
            self.both.wait(60)
        assert self.go.wait(60)
        with self._lock:
            self._now -= 1
        return False


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowHasher:
    slow = SlowHasher()
    monkeypatch.setattr("hub.web.dashboard.credential_check.is_password", slow)
    return slow


@pytest.fixture
def crowded(make_board, slow: SlowHasher) -> Board:
    board: Board = make_board(PLAIN.replace("sources:\n", f"sources:\n{FORM}", 1))
    board.app.extensions["hub_hashing_places"] = HashingPlaces(PLACES, TURNS, within_s=60)
    return board


def scope_of(method: str, path: str, **headers: str) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    fields = {"host": "localhost"} | headers
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "http_version": "1.1", "scheme": "http",
        "headers": [(name.replace("_", "-").encode(), value.encode())
                    for name, value in fields.items()],
    }  # fmt: skip


class Client:
    """Clients of the app's threads: they post forms with the cookie and the token of one page."""

    def __init__(self, board: Board, **given: float) -> None:
        self._threads = FlaskThreads(board.app, WEB_THREADS, asks_for_password, **given)
        self._cookie = cookie(board.app, {"csrf_token": "0" * 40})
        self._csrf = board.csrf()

    async def sign_in(self, name: str) -> tuple[int, dict[str, str]]:
        form = {"csrf_token": self._csrf, "name": name, "password": PASSWORD}
        kind = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
        return await self.send("POST", "/sign-in", body, content_type=kind)

    async def send(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str]]:
        """Return the status and the headers of the response."""
        headers |= {"cookie": f"hub={self._cookie}"}
        headers |= {"content-length": str(len(body))} if body else {}
        scope = scope_of(method, path, **headers)
        start: dict[str, str] = {}
        status = 0

        async def told(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                start.update({name.decode(): value.decode() for name, value in message["headers"]})

        await self._threads.answer(scope, read_head(scope), body, told)
        return status, start


def test_a_crowd_at_the_sign_in_leaves_threads_to_webhooks_forms_and_health(crowded, slow):
    client = Client(crowded)

    async def crowd() -> None:
        names = [f"somebody{n}" for n in range(CROWD)]
        knocks = [asyncio.ensure_future(client.sign_in(name)) for name in names]
        await asyncio.get_running_loop().run_in_executor(None, slow.both.wait, 60)
        body = stripe_event("evt_1")
        served: list[Awaitable[tuple[int, dict[str, str]]]] = [
            client.send("GET", "/healthz"),
            client.send("POST", "/webhooks/stripe", body, stripe_signature=stripe_signature(body)),
            client.send("POST", "/forms/contact", b"email=jane%40acme.example",
                        content_type="application/x-www-form-urlencoded"),
            client.send("GET", "/sign-in"),
        ]  # fmt: skip
        statuses = [status for status, _ in await asyncio.gather(*served)]
        assert statuses == [200] * 4
        assert not any(one.done() for one in knocks)
        slow.go.set()
        assert [status for status, _ in await asyncio.gather(*knocks)] == [401] * CROWD

    asyncio.run(crowd())
    assert slow.most == TURNS
    assert audited(crowded, "sign_in.refused") == CROWD


def test_who_waits_too_long_is_refused_and_takes_no_thread_from_others(crowded, slow):
    client = Client(crowded, dear_within_s=0.01)

    async def crowd() -> None:
        knocks = {asyncio.ensure_future(client.sign_in(f"somebody{n}")) for n in range(CROWD)}
        refused: set[asyncio.Future[tuple[int, dict[str, str]]]] = set()
        while len(refused) < CROWD - PLACES:
            done, knocks = await asyncio.wait(knocks, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        for one in refused:
            status, headers = one.result()
            assert status == 429
            assert int(headers["retry-after"]) > 0
        assert (await client.send("GET", "/healthz"))[0] == 200
        slow.both.wait(60)
        slow.go.set()
        assert [status for status, _ in await asyncio.gather(*knocks)] == [401] * PLACES

    asyncio.run(crowd())
    assert audited(crowded, "sign_in.refused") == PLACES


def test_every_form_with_a_password_waits_for_its_turn(board, slow, monkeypatch):
    """Each view that hashes is one of the dear requests."""
    hashed: list[str] = []
    for module in (credential_check, account, welcome):
        monkeypatch.setattr(module, "hash_password", lambda text: hashed.append(text) or "x")
    slow.go.set()
    jane = add(board)
    with board.hub.store.write() as connection:
        token = users.invite(connection, jane, actor="x", now=datetime.now(UTC))
    more = {"password": NEW, "again": NEW, "old": PASSWORD, "name": "jane", "role": "viewer"}
    dear = set()
    for rule in board.app.url_map.iter_rules():
        if rule.endpoint.startswith("dashboard.") and "POST" in rule.methods:
            given = {name: token if name == "token" else "1" for name in rule.arguments}
            _, path = rule.build(given)
            seen = slow.calls + len(hashed)
            board.client(name="jane").post(path, data={"csrf_token": board.csrf()} | more)
            if slow.calls + len(hashed) > seen:
                dear.add(path)
    assert len(dear) == 5
    for path in {*dear, "/sign%2Din"}:
        assert asks_for_password(read_head(scope_of("POST", path)))
    assert not asks_for_password(read_head(scope_of("GET", "/sign-in")))


def test_who_is_known_and_who_is_not_are_refused_in_the_same_words(board):
    add(board)
    board.app.extensions["hub_hashing_places"] = HashingPlaces(1, 1, within_s=0.01)
    client = board.client(None)
    form = {"csrf_token": board.csrf(), "password": PASSWORD}
    client.set_cookie("hub", cookie(board.app, {"csrf_token": "0" * 40}))
    with board.app.extensions["hub_hashing_places"].place():
        answers = [client.post("/sign-in", data=form | {"name": name}) for name in ("jane", "kim")]
        posts = (
            (
                "/account/password",
                {"old": PASSWORD, "password": NEW, "again": NEW},
            ),
            ("/prove", {"password": PASSWORD}),
        )
        inside = [board.client(name="jane").post(path, data=form | more) for path, more in posts]
    assert [answer.status_code for answer in answers + inside] == [429] * 4
    assert answers[0].text == answers[1].text
    assert "try it once more" in answers[0].text
    assert audited(board, "sign_in.refused") == 0
    assert sign_in(board.app.test_client()).status_code == 303
