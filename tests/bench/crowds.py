"""Benchmark row of crowds: clients that say half of anything and wait, beside those who do not.

The crowd opens its connections in a quarter of a second. From then on `/healthz` and signed
webhooks are sent in turn, each on a new connection, until the server has ended every one of the
crowd. The same was sent before, with no crowd: the targets are ratios to that. When the last of the
crowd is ended is set by the hub's deadlines, so it is held against the promise itself. One round
for each database.
"""

import http.client
import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from hub.gateways.database.migrations import upgrade
from tests.bench.ingest import CONFIG
from tests.bench.load import Webhooks
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import RunningHub
from tests.web.test_slow import UNFINISHED

SIZES = (16, 64, 300)
# How long the hub promises to keep any of the crowd, and longer than that.
PROMISED_S = 15
GIVE_UP_S = 30
# Pairs of requests that are sent before the crowd comes.
ALONE = 300
# Of the same without a crowd: a p99, and a webhook that waits longest among thousands.
MOST_P99, MOST_LONGEST = 4, 200
KINDS = [sent for sent in UNFINISHED.values() if sent]


def measure(stage: Stage) -> Row:
    """Return, for each size of the crowd and both databases, what the others waited."""
    row = Row("crowds")
    hubs: dict[str, Callable[[], object]] = {
        "PostgreSQL": lambda: stage.hub(CONFIG),
        "SQLite": lambda: _on_sqlite(stage),
    }
    for name, begin in hubs.items():
        with begin() as hub:  # type: ignore[attr-defined]
            hub.start("web")
            for size in SIZES:
                _beside(hub, size, f"{name}, {size}", row)
    return row


@contextmanager
def _on_sqlite(stage: Stage) -> Iterator[RunningHub]:
    url = f"sqlite:///{stage.folder}/crowds.db"
    upgrade(url)
    with stage.hub(CONFIG, DATABASE_URL=url) as hub:
        yield hub


def _beside(hub: RunningHub, size: int, name: str, row: Row) -> None:
    webhooks = Webhooks(name.replace(", ", "-"))
    alone, beside = _Times(), _Times()
    for _ in range(ALONE):
        alone.add(hub, webhooks)
    with ExitStack() as stack:
        crowd = []
        begun_s = time.monotonic()
        for n in range(size):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", hub.port)))
            sock.sendall(KINDS[n % len(KINDS)])
            sock.setblocking(False)
            crowd.append(sock)
        while crowd:
            assert time.monotonic() < begun_s + GIVE_UP_S, f"{len(crowd)} are still there"
            beside.add(hub, webhooks)
            crowd = _still_there(crowd)
        ended_s = time.monotonic() - begun_s
    for what, now_s, before_s in (
        ("/healthz", beside.health_s, alone.health_s),
        ("webhook", beside.webhook_s, alone.webhook_s),
    ):
        p99_ms, alone_ms, longest_ms = _p99_ms(now_s), _p99_ms(before_s), max(now_s) * 1000
        row.add(f"{name}: {what}, p99", "ms", p99_ms)
        row.add(f"{name}: {what}, longest", "ms", longest_ms)
        target = Target(MOST_P99, at_most=True)
        row.add(f"{name}: {what}, p99 ÷ p99 alone", "×", p99_ms / alone_ms, target)
        if what == "webhook":
            target = Target(MOST_LONGEST, at_most=True)
            row.add(f"{name}: {what}, longest ÷ p99 alone", "×", longest_ms / alone_ms, target)
    row.add(f"{name}: the last one ended", "s", ended_s)
    target = Target(1, at_most=True)
    row.add(f"{name}: the last one ended ÷ {PROMISED_S} s", "×", ended_s / PROMISED_S, target)


@dataclass
class _Times:
    """Seconds that each `/healthz` and each signed webhook took, on a new connection."""

    health_s: list[float] = field(default_factory=list)
    webhook_s: list[float] = field(default_factory=list)

    def add(self, hub: RunningHub, webhooks: Webhooks) -> None:
        """Send one of each."""
        ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.health_s.append(_took_s(hub.port, ask))
        self.webhook_s.append(_took_s(hub.port, webhooks.request()))


def _took_s(port: int, request: bytes) -> float:
    started_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as sock:
        sock.sendall(request)
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.status == 200, response.status
    return time.monotonic() - started_s


def _still_there(crowd: list[socket.socket]) -> list[socket.socket]:
    """Read what the server says; return the sockets that it has not closed."""
    readable, _, _ = select.select(crowd, [], [], 0)
    ended = set()
    for sock in readable:
        try:
            if not sock.recv(65536):
                ended.add(sock)
        except ConnectionError:
            ended.add(sock)
    return [sock for sock in crowd if sock not in ended]


def _p99_ms(took_s: list[float]) -> float:
    return statistics.quantiles(took_s, n=100)[98] * 1000
