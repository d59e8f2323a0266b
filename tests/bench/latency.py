"""Benchmark row 2: latency from a webhook at an idle hub to the call of its destination.

Web, worker and clock run; events come one by one. The time starts before the webhook's first byte
is sent, so it exceeds the latency counted from the 2xx answer, which is shown too.
"""

import random
import socket
import statistics
import time

from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, as_request
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import RunningHub, until

EVENTS_PER_S = 8
SHORTEST_PAUSE_S = 0.1
WARM_UP = 5

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
    """Return percentiles over all events of a round."""
    row = Row("latency")
    count = max(20, int(EVENTS_PER_S * seconds))
    for _ in range(rounds):
        with far_end(stage.folder) as end, stage.hub(CONFIG, FAR_END=end.url) as hub:
            hub.start("web", "worker", "clock")
            from_first_byte, from_answer = _idle_events(hub, end, count)
        p50, p99 = _quantiles_ms(from_first_byte)
        row.add("sent → called, p50", "ms", p50, Target(25, at_most=True))
        row.add("sent → called, p99", "ms", p99, Target(150, at_most=True))
        row.add("answered → called, p50", "ms", _quantiles_ms(from_answer)[0])
    return row


def _idle_events(hub: RunningHub, end: FarEnd, count: int) -> tuple[list[float], list[float]]:
    webhooks = Webhooks("idle")
    times: dict[str, tuple[float, float]] = {}
    for number in range(WARM_UP + count):
        event_id, body = webhooks.body()
        times[event_id] = _send(hub.port, as_request(body))
        if number == 0:
            until(end.count, 30, "the worker's first call")
        time.sleep(SHORTEST_PAUSE_S + random.random() * 0.05)
    until(lambda: end.count() >= WARM_UP + count, 30, "the last call")
    called = {call["event"]: at_s for at_s, call in end.calls()}
    measured = list(times.items())[WARM_UP:]
    return (
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
