"""Benchmark row of growth: what keeps up, and stays flat, while events come at a steady rate.

Web, worker and clock run, and each event makes three deliveries to a quick destination, so that the
worker is never idle. Processor time is that of a process and its children, as a share of one core,
without their start. The rates of ingest and of calls are measured with a million events in the
database beside those without any.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg

from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, press
from tests.bench.many_events import fill
from tests.bench.processes import cpu_s, resident_mb
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import RunningHub, until

EVENTS_PER_S = 200
SHORTEST_S = 20.0
WARM_UP_S = 6.0
CONNECTIONS = 8
MANY = 1_000_000
MOST_GROWN = 1.05
PRESIGNED_PER_S = 8000

CONFIG = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
destinations:
  ops: {adapter: http, url: "${FAR_END}", secret: "${OPS_SECRET}"}
routes:
""" + "".join(
    f"""  {name}:
    on: "payment.*"
    live: any
    do: ops.post
    with: {{body: {{event: "{{{{ event.external_id }}}}"}}}}
"""
    for name in ("one", "two", "three")
)

_UNFOLDED = "SELECT count(*) FROM events WHERE NOT folded"
_UNINDEXED = "SELECT count(*) FROM events WHERE NOT indexed"


@dataclass(frozen=True)
class Used:
    """Use of the machine by a process and its children: processor seconds, resident megabytes."""

    cpu_s: float
    memory_mb: float


def measure(stage: Stage, *, rounds: int, seconds: float, events: int) -> Row:
    """Return the lag of projections, the use of the processes, and the ratios of the rates."""
    row = Row("growth")
    for _ in range(rounds):
        _steady(stage, row, max(seconds, SHORTEST_S))
    with ExitStack() as stack:
        end = stack.enter_context(far_end(stage.folder))
        few, many = (stack.enter_context(stage.hub(CONFIG, FAR_END=end.url)) for _ in range(2))
        fill(many.environ["DATABASE_URL"], min(events, MANY))
        for number in range(rounds):
            rates = {
                hub: _rates(stage, hub, end, seconds)
                for hub in ((few, many), (many, few))[number % 2]
            }
            for name, before, after in zip(
                ("ingest", "calls"), rates[few], rates[many], strict=True
            ):
                row.add(f"{name} with {min(events, MANY):,} events ÷ without", "×", after / before,
                        Target(0.9))  # fmt: skip
    return row


def _steady(stage: Stage, row: Row, seconds: float) -> None:
    with far_end(stage.folder) as end, stage.hub(CONFIG, FAR_END=end.url) as hub:
        hub.start("web", "worker", "clock")
        webhooks = Webhooks("steady")
        warm_up = press(hub.port, _paced(webhooks), seconds=WARM_UP_S, connections=CONNECTIONS)
        before, called = _used(hub), end.count()
        pressed = press(hub.port, _paced(webhooks), seconds=seconds, connections=CONNECTIONS)
        after, calls = _used(hub), end.count() - called
        with psycopg.connect(hub.environ["DATABASE_URL"]) as connection:
            unfolded, unindexed = (_count(connection, sql) for sql in (_UNFOLDED, _UNINDEXED))
        assert not warm_up.refused + pressed.refused, "some webhooks were refused"
    row.add("events", "/s", pressed.per_s)
    row.add("calls beside them", "/s", calls / pressed.seconds)
    behind = Target(5, at_most=True)
    row.add("not folded at the end, in seconds of ingest", "s", unfolded / EVENTS_PER_S, behind)
    row.add("not indexed at the end, in seconds of ingest", "s", unindexed / EVENTS_PER_S, behind)
    for name in hub.processes:
        share = (after[name].cpu_s - before[name].cpu_s) / pressed.seconds
        asked = Target(0.05, at_most=True) if name == "clock" else None
        row.add(f"{name}: share of a core", "×", share, asked)
        grown = after[name].memory_mb / before[name].memory_mb
        row.add(f"{name}: memory at the end ÷ before", "×", grown, Target(MOST_GROWN, at_most=True))


def _paced(webhooks: Webhooks) -> Iterator[bytes]:
    """Yield requests at the steady rate; wait for the time of each."""
    next_s = time.monotonic()
    while True:
        time.sleep(max(0.0, next_s - time.monotonic()))
        next_s += 1 / EVENTS_PER_S
        yield webhooks.request()


def _used(hub: RunningHub) -> dict[str, Used]:
    return {
        name: Used(cpu_s(process.pid), max(resident_mb(process.pid)))
        for name, process in hub.processes.items()
    }


def _rates(stage: Stage, hub: RunningHub, end: FarEnd, seconds: float) -> tuple[float, float]:
    """Return webhooks accepted and calls made, a second; the worker begins when ingest ends.

    Redis is emptied: both databases are copies of one, so that they have one name in it.
    """
    with stage.redis.client() as redis:
        redis.flushall()
    hub.start("web")
    webhooks = Webhooks(f"many{time.monotonic_ns()}")
    ready = int(PRESIGNED_PER_S * seconds)
    # As long as the measurement: pages that change first after a checkpoint are logged whole.
    press(hub.port, webhooks.requests(ready), seconds=seconds)
    pressed = press(hub.port, webhooks.requests(ready), seconds=seconds)
    _stop(hub, "web")
    with psycopg.connect(hub.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ANALYZE")  # as the server itself does after a while
    called = end.count()
    hub.start("worker")
    until(lambda: end.count() > called, 30, "the worker's first call")
    begin_s, begin = time.monotonic(), end.count()
    time.sleep(seconds)
    rate = (end.count() - begin) / (time.monotonic() - begin_s)
    _stop(hub, "worker")
    assert end.count() - called < pressed.accepted, "the backlog was too small"
    return pressed.per_s, rate


def _stop(hub: RunningHub, name: str) -> None:
    hub.signal(name, signal.SIGTERM)
    hub.processes.pop(name).wait(30)


def _count(connection: psycopg.Connection, sql: str) -> int:
    found = connection.execute(sql.encode()).fetchone()
    assert found is not None
    return int(found[0])
