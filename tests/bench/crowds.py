"""Benchmark row of crowds: clients that say half of anything and wait, beside those who do not.

There are crowds of mixed halves, one that says nothing, and one whose half bodies are more than
the web processes keep. Each opens its connections at once. From then on `/healthz` and signed
webhooks are sent in turn, each on a new connection, until the server has ended every one of the
crowd. The same was sent before, with no crowd: the targets are ratios to that, and to what the hub
promises: an answer of `/healthz` in 100 ms, of a webhook in 1 s, the end of the crowd in 15 s. One
round for each database.
"""

import http.client
import re
import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from hub.gateways.database.migrations import upgrade
from hub.server import MOST_CONNECTIONS, raise_open_files
from hub.web.body_reader import BUDGET_BYTES
from tests.bench.ingest import CONFIG
from tests.bench.load import Webhooks
from tests.bench.report import Row, Target
from tests.bench.stage import WEB_PROCESSES, Stage
from tests.running import RunningHub
from tests.web.serving import request
from tests.web.test_slow import UNFINISHED

# What the hub promises: the slowest answers, and how long it keeps any of the crowd.
HEALTH_MS, WEBHOOK_MS = 100, 1000
PROMISED_S = 15
GIVE_UP_S = 30
# Pairs of requests that are sent before the crowd comes.
ALONE = 300
# Of the same without a crowd: a p99, and a webhook that waits longest among thousands.
MOST_P99, MOST_LONGEST = 4, 200
KINDS = [sent for sent in UNFINISHED.values() if sent]
HALF_BODY = request(b"", ("Content-Length", "1048576")) + b"x" * 1_000_000
CROWDS: dict[str, Sequence[bytes]] = {
    **{str(size): [KINDS[n % len(KINDS)] for n in range(size)] for size in (16, 64, 300)},
    "idle": [b""] * (WEB_PROCESSES * MOST_CONNECTIONS),
    "half bodies": [HALF_BODY] * (WEB_PROCESSES * BUDGET_BYTES // 1_000_000 + 16),
}


def measure(stage: Stage) -> Row:
    """Return, for each crowd and both databases, what the others waited."""
    raise_open_files()
    row = Row("crowds")
    hubs: dict[str, Callable[[], object]] = {
        "PostgreSQL": lambda: stage.hub(CONFIG),
        "SQLite": lambda: _on_sqlite(stage),
    }
    for name, begin in hubs.items():
        with begin() as hub:  # type: ignore[attr-defined]
            hub.start("web")
            for crowd, sent in CROWDS.items():
                _beside(hub, sent, f"{name}, {crowd}", row)
    return row


@contextmanager
def _on_sqlite(stage: Stage) -> Iterator[RunningHub]:
    url = f"sqlite:///{stage.folder}/crowds.db"
    upgrade(url)
    with stage.hub(CONFIG, DATABASE_URL=url) as hub:
        yield hub


def _beside(hub: RunningHub, sent: Sequence[bytes], name: str, row: Row) -> None:
    webhooks = Webhooks(re.sub(r"\W+", "-", name))
    alone, beside = _Times(), _Times()
    for _ in range(ALONE):
        alone.add(hub, webhooks)
    with ExitStack() as stack:
        crowd = _Crowd()
        begun_s = time.monotonic()
        for said in sent:
            crowd.join(stack.enter_context(socket.create_connection(("127.0.0.1", hub.port))), said)
        while left := crowd.left():
            assert time.monotonic() < begun_s + GIVE_UP_S, f"{left} are still there"
            beside.add(hub, webhooks)
        ended_s = time.monotonic() - begun_s
    for what, now_s, before_s, promised_ms in (
        ("/healthz", beside.health_s, alone.health_s, HEALTH_MS),
        ("webhook", beside.webhook_s, alone.webhook_s, WEBHOOK_MS),
    ):
        p99_ms, alone_ms, longest_ms = _p99_ms(now_s), _p99_ms(before_s), max(now_s) * 1000
        row.add(f"{name}: {what}, p99", "ms", p99_ms)
        row.add(f"{name}: {what}, longest", "ms", longest_ms)
        target = Target(MOST_P99, at_most=True)
        row.add(f"{name}: {what}, p99 ÷ p99 alone", "×", p99_ms / alone_ms, target)
        if what == "webhook":
            target = Target(MOST_LONGEST, at_most=True)
            row.add(f"{name}: {what}, longest ÷ p99 alone", "×", longest_ms / alone_ms, target)
        target, promise = Target(1, at_most=True), f"{what}, longest ÷ {promised_ms} ms"
        row.add(f"{name}: {promise}", "×", longest_ms / promised_ms, target)
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


class _Crowd:
    """Connections of a crowd, and which of them the server has not closed.

    `select` would take no descriptor beyond 1023.
    """

    def __init__(self) -> None:
        self._open: dict[int, socket.socket] = {}
        self._readable = select.poll()

    def join(self, sock: socket.socket, said: bytes) -> None:
        """Say something on a connection; the server may end it before all is said."""
        with suppress(ConnectionError):
            sock.sendall(said)
        sock.setblocking(False)
        self._open[sock.fileno()] = sock
        self._readable.register(sock, select.POLLIN)

    def left(self) -> int:
        """Read what the server says; return how many connections it has not closed."""
        for number, _ in self._readable.poll(0):
            try:
                is_closed = not self._open[number].recv(65536)
            except ConnectionError:
                is_closed = True
            if is_closed:
                self._readable.unregister(number)
                del self._open[number]
        return len(self._open)


def _p99_ms(took_s: list[float]) -> float:
    return statistics.quantiles(took_s, n=100)[98] * 1000
