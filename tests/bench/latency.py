"""Benchmark row `latency`: time from a webhook at an idle hub to the call of its destination.

Web, worker and clock run; events come one by one. The time starts before the webhook's first byte
is sent, so it exceeds the latency counted from the 2xx answer, which is shown too. Beside it the
plain way: a Flask view on gunicorn that commits two rows and enqueues a job, and RQ's
`SimpleWorker`, which posts.
"""

import random
import socket
import statistics
import time
from dataclasses import dataclass

from tests.bench import plain
from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, as_request
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage, program, served
from tests.running import until

EVENTS_PER_S = 8
SHORTEST_PAUSE_S = 0.1
WARM_UP = 5
# Of what the plain way takes in the same round.
MOST_P50 = 1.25
MOST_P99 = 5

CONFIG = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops: {adapter: http, url: "${FAR_END}", secret: "${OPS_SECRET}"}
routes:
  one:
    on: "payment.*"
    live: any
    do: ops.post
    with: {body: {event: "{{ event.external_id }}"}}
"""


def measure(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return percentiles over all events of a round, in milliseconds, and their ratios."""
    row = Row("latency")
    count = max(20, int(EVENTS_PER_S * seconds))
    subjects = {"hub": lambda: _hub(stage, count), "plain": lambda: _plain(stage, count)}
    for number in range(rounds):
        took = in_turn(subjects, number)
        p50, p99 = _quantiles_ms(took["hub"].from_first_byte)
        plain_p50, plain_p99 = _quantiles_ms(took["plain"].from_first_byte)
        row.add("sent → called, p50", "ms", p50)
        row.add("sent → called, p99", "ms", p99)
        row.add("answered → called, p50", "ms", _quantiles_ms(took["hub"].from_answer)[0])
        row.add("plain: sent → called, p50", "ms", plain_p50)
        row.add("plain: sent → called, p99", "ms", plain_p99)
        row.add("hub ÷ plain, p50", "×", p50 / plain_p50, Target(MOST_P50, at_most=True))
        row.add("hub ÷ plain, p99", "×", p99 / plain_p99, Target(MOST_P99, at_most=True))
    return row


@dataclass(frozen=True)
class _Took:
    """Seconds until each event's call, since its webhook's first byte and since the answer."""

    from_first_byte: list[float]
    from_answer: list[float]


def _hub(stage: Stage, count: int) -> _Took:
    with far_end(stage.folder) as end, stage.hub(CONFIG, FAR_END=end.url) as hub:
        hub.start("web", "worker", "clock")
        return _idle_events(hub.port, end, count)


def _plain(stage: Stage, count: int) -> _Took:
    with far_end(stage.folder) as end, stage.database(empty=True) as url:
        plain.create_tables(url)
        environ = {"DATABASE_URL": url, "REDIS_URL": stage.redis.url, "FAR_END": end.url}
        environ["PLAIN_ROUTES"] = "1"
        worker = ["tests.bench.plain", "simple", stage.redis.url]
        app = "tests.bench.plain:create_app()"
        with (
            program(worker, {}, stage.folder / "plain.log"),
            served(app, "gunicorn", environ, stage.folder) as port,
        ):
            return _idle_events(port, end, count)


def _idle_events(port: int, end: FarEnd, count: int) -> _Took:
    webhooks = Webhooks("idle")
    times: dict[str, tuple[float, float]] = {}
    for number in range(WARM_UP + count):
        event_id, body = webhooks.body()
        times[event_id] = _send(port, as_request(body))
        if number == 0:
            until(end.count, 30, "the worker's first call")
        time.sleep(SHORTEST_PAUSE_S + random.random() * 0.05)
    until(lambda: end.count() >= WARM_UP + count, 30, "the last call")
    called = {call["event"]: at_s for at_s, call in end.calls()}
    measured = list(times.items())[WARM_UP:]
    return _Took(
        [called[event_id] - sent_s for event_id, (sent_s, _) in measured],
        [called[event_id] - answered_s for event_id, (_, answered_s) in measured],
    )


def _send(port: int, request: bytes) -> tuple[float, float]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        sent_s = time.monotonic()
        line.sendall(request)
        answer = line.recv(65536)
        answered_s = time.monotonic()
    assert answer.startswith(b"HTTP/1.1 200"), "the webhook was refused"
    return sent_s, answered_s


def _quantiles_ms(times_s: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times_s, n=100, method="inclusive")
    return cuts[49] * 1000, cuts[98] * 1000
