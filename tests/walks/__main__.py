"""Counts how far a request travels through the code: `python -m tests.walks` prints the table.

Each walk runs twice over SQLite in one process: the first time warms caches up, the second one is
recorded. A call counts where one named function of the project calls another one, directly or
through a library; comprehensions and lambdas belong to the function that they stand in. Calls from
file to file are those among them whose two ends stand in two files.
"""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import CodeType, FrameType
from typing import Any

import requests
from sqlalchemy import update

from hub.bootstrap import find_names
from hub.core.auth.roles import Role
from hub.core.models import Delivery
from hub.gateways.database.migrations import upgrade
from hub.processes import create_worker_context
from hub.server import web_server
from hub.settings import load_settings
from hub.worker.drain import Drain
from tests.dashboard.board import SECRET_KEY, Board
from tests.far_end import FarEnd, Received, Reply
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature

ROOT = Path(__file__).parents[2]
CONFIG = """
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  contact: {adapter: form, fields: {name: {type: text}, email: {type: email}}}
destinations:
  crm: {adapter: hubspot, token: "a-token-of-sixteen", base_url: "${CRM}"}
routes:
  payment-to-crm:
    on: payment.succeeded
    do: crm.upsert_contact
    with: {email: "{{ data.email }}", properties: {phone: "{{ data.phone }}"}}
  lead-to-crm:
    on: lead.submitted
    do: crm.upsert_contact
    with: {email: "{{ data.email }}"}
"""


@dataclass
class Walk:
    """One recorded walk: the functions it met, and how often one called another."""

    functions: set[CodeType] = field(default_factory=set)
    calls: int = 0
    crossings: int = 0

    def begin_anew(self) -> None:
        """Forget what was met so far."""
        self.functions, self.calls, self.crossings = set(), 0, 0

    def __add__(self, other: "Walk") -> "Walk":
        return Walk(
            self.functions | other.functions,
            self.calls + other.calls,
            self.crossings + other.crossings,
        )

    @property
    def files(self) -> list[str]:
        names = {code.co_filename for code in self.functions}
        return sorted(str(Path(name).relative_to(ROOT)) for name in names)


def is_ours(code: CodeType) -> bool:
    name = code.co_filename
    inside = name.startswith((f"{ROOT}/hub/", f"{ROOT}/adapters/"))
    return inside and not code.co_name.startswith("<")


def caller_of(frame: FrameType) -> CodeType | None:
    """Return the nearest function of the project below a frame."""
    back = frame.f_back
    while back is not None:
        if is_ours(back.f_code):
            return back.f_code
        back = back.f_back
    return None


@contextmanager
def recorded(*, all_threads: bool) -> Iterator[Walk]:
    walk = Walk()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not is_ours(frame.f_code):
            return
        walk.functions.add(frame.f_code)
        caller = caller_of(frame)
        if caller is not None:
            walk.calls += 1
            walk.crossings += caller.co_filename != frame.f_code.co_filename

    if all_threads:
        threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def _beat() -> None:
    """Take no part in a walk."""


def answered(_: Received) -> Reply:
    body = b'{"id": "101", "results": [{"id": "101", "new": true}], "properties": {}}'
    return Reply(200, body, {"Content-Type": "application/json"})


class Walks:
    """A hub of one process, and the walks through it."""

    def __init__(self, folder: Path, far_end: str) -> None:
        url = f"sqlite:///{folder}/hub.db"
        upgrade(url)
        (folder / "hub.yaml").write_text(CONFIG)
        self.environ = {
            "DATABASE_URL": url,
            "HUB_CONFIG": str(folder / "hub.yaml"),
            "REDIS_URL": f"unix://{folder}/no-redis",
            "SECRET_KEY": SECRET_KEY,
            "HUB_ALLOW_PRIVATE_DESTINATIONS": "1",
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "CRM": far_end,
        }
        self.board = Board(self.environ)
        self.browser = self.board.client(Role.ADMIN)
        self._number = 0
        settings, hub = load_settings(self.environ), self.board.hub
        names = find_names(settings, hub.configuration, hub.store)
        assert names is not None
        self._worker = create_worker_context(settings, hub, names, Event())

    def webhook(self) -> None:
        """Post a payment of Stripe's that one route takes."""
        self._number += 1
        body = stripe_event(f"evt_{self._number}")
        headers = {"Stripe-Signature": stripe_signature(body), "Content-Type": "application/json"}
        answer = self.board.app.test_client().post("/webhooks/stripe", data=body, headers=headers)
        assert answer.status_code == 200, answer.status_code

    def webhook_through_the_server(self) -> Walk:
        """Post payments on a socket to the server of `hub web`; return the walk of the second."""
        settings = load_settings(self.environ)
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            recorded(all_threads=True) as walk,
        ):
            port = listener.getsockname()[1]
            server = web_server(settings, self.environ, beat=_beat)
            serving = threading.Thread(target=server.run, args=([listener],))
            serving.start()
            for _ in range(2):
                time.sleep(1)  # what follows the answer has ended
                walk.begin_anew()
                self._number += 1
                body = stripe_event(f"evt_{self._number}")
                headers = {"Stripe-Signature": stripe_signature(body)}
                url = f"http://127.0.0.1:{port}/webhooks/stripe"
                answer = requests.post(url, data=body, headers=headers, timeout=10)
                assert answer.status_code == 200, answer.status_code
            time.sleep(1)
            found = walk + Walk()
            server.should_exit = True
            serving.join()
        return found

    def form(self) -> None:
        """Submit a lead, as a browser does."""
        self._number += 1
        lead = {"name": "Jane Doe", "email": f"jane.{self._number}@example.com"}
        answer = self.board.app.test_client().post("/forms/contact", data=lead)
        assert answer.status_code == 200, answer.status_code

    def delivery(self) -> None:
        """Drain the one delivery that is due."""
        Drain(self._worker).run()

    def page(self, path: str) -> None:
        answer = self.browser.get(path)
        assert answer.status_code == 200, answer.status_code

    def close(self) -> None:
        """Write the last counts, and close the database."""
        self.board.app.extensions["hub_intake"].counters.flush()
        self.board.hub.store.engine.dispose()  # type: ignore[attr-defined]

    def rest(self) -> None:
        """Put all deliveries aside, so that a drain finds the next one alone."""
        with self.board.hub.store.write() as connection:
            connection.execute(
                update(Delivery).values(
                    state="failed", error="503", next_attempt_at=None, finished_at=datetime.now(UTC)
                )
            )

    def all(self) -> Iterator[tuple[str, Walk]]:
        yield "Stripe's webhook → 2xx", self._second(self.webhook)
        self.rest()
        through_server = self.webhook_through_the_server()
        yield "the same on a socket of `hub web`", through_server
        self.rest()
        delivery = self._second(self.delivery, first=self.webhook)
        yield "its delivery: claim → call → record", delivery
        yield "both, from the socket to the record", through_server + delivery
        yield "one lead form → 200", self._second(self.form)
        self.rest()
        yield (
            "replay: preview page",
            self._second(lambda: self.page("/replays/preview?state=failed")),
        )
        yield "events list", self._second(lambda: self.page("/events"))
        yield "front page", self._second(lambda: self.page("/"))
        self.close()

    @staticmethod
    def _second(act: Callable[[], None], *, first: Callable[[], None] | None = None) -> Walk:
        for is_recorded in (False, True):
            if first:
                first()
            if not is_recorded:
                act()
                continue
            time.sleep(0)  # other threads go on before the record begins
            with recorded(all_threads=first is not None) as walk:
                act()
        return walk


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, FarEnd(answered) as far_end:
        print("| walk | files | functions | calls | from file to file |")  # noqa: T201
        print("|---|---|---|---|---|")  # noqa: T201
        for name, walk in Walks(Path(folder), far_end.url).all():
            row = (name, len(walk.files), len(walk.functions), walk.calls, walk.crossings)
            print("|", " | ".join(map(str, row)), "|")  # noqa: T201
            if os.environ.get("FILES"):
                print("\n".join(f"    {file}" for file in walk.files))  # noqa: T201


if __name__ == "__main__":
    main()
