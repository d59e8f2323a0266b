"""Benchmark row `shards`: two workers that share a destination, beside one that has it alone.

The far end is a process of its own. Workers, PostgreSQL and far end have the machine's cores
between them, so the CPU that each takes for a call is shown too: two workers can make no more calls
than the cores allow. A worker has 64 threads for calls: with `concurrency: 128` each of two uses
its own, with 64 half of them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import psycopg

from tests.bench.deliveries import ROUTE, ROUTES
from tests.bench.far_end import FarEnd, far_end
from tests.bench.load import Webhooks, press
from tests.bench.processes import cpu_s
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage
from tests.running import RunningHub, until

# By concurrency: the rate of two workers over that of one.
TARGETS = {128: Target(1.6), 64: None}
# More than two workers make; the backlog also lasts while the second starts, and for the warm-up.
MOST_PER_S = 3000
START_S = 5.0
WARM_UP_S = 2.0

CONFIG = """
sources: {{stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}}}
destinations:
  ops: {{adapter: http, url: "${{FAR_END}}", secret: "${{OPS_SECRET}}",
         concurrency: {concurrency}, shards: {shards}}}
routes:
"""


@dataclass(frozen=True)
class Used:
    """Calls a second, and the CPU that each kind of process took for a call, in µs."""

    per_s: float
    cpu_us: Mapping[str, float]


def measure(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the rates of one and of two workers to a quick destination."""
    row = Row("shards")
    subjects: dict[str, Callable[[], Used]] = {
        f"{workers} at {concurrency}": partial(_hub, stage, seconds, concurrency, workers)
        for concurrency in TARGETS
        for workers in (1, 2)
    }
    for number in range(rounds):
        used = in_turn(subjects, number)
        for concurrency, target in TARGETS.items():
            one, two = used[f"1 at {concurrency}"], used[f"2 at {concurrency}"]
            row.add(f"two workers ÷ one, at {concurrency}", "×", two.per_s / one.per_s, target)
            for workers, found in (("one worker", one), ("two workers", two)):
                name = f"{workers} at {concurrency}"
                row.add(name, "/s", found.per_s)
                row.add(f"{name}: cores busy", "", sum(found.cpu_us.values()) * found.per_s / 1e6)
                for process, microseconds in found.cpu_us.items():
                    row.add(f"{name}: CPU of {process}", "µs a call", microseconds)
    return row


def _hub(stage: Stage, seconds: float, concurrency: int, workers: int) -> Used:
    config = CONFIG.format(concurrency=concurrency, shards=workers)
    config += "".join(ROUTE.format(name=name) for name in ROUTES)
    events = int(MOST_PER_S * (seconds + START_S + WARM_UP_S)) // len(ROUTES)
    with ExitStack() as stack:
        end = stack.enter_context(far_end(stage.folder, loop="uvloop"))
        hub = stack.enter_context(stage.hub(config, FAR_END=end.url))
        hub.start("web")
        pressed = press(hub.port, Webhooks("backlog").requests(events), seconds=60)
        assert pressed.accepted == events, "the backlog could not be made"
        hub.start("worker")
        until(end.count, 30, "the first call")
        for number in range(1, workers):
            hub.start(f"worker-{number + 1}")
        until(lambda: _holders(hub) == workers, 30, "each worker to hold a lane")
        time.sleep(WARM_UP_S)
        used = _measured(stage, hub, end, seconds)
        assert end.count() < events * len(ROUTES), "the backlog was too small"
        return used


def _measured(stage: Stage, hub: RunningHub, end: FarEnd, seconds: float) -> Used:
    workers = [one.pid for name, one in hub.processes.items() if name.startswith("worker")]
    processes = {"workers": workers, "PostgreSQL": [stage.postgres.pid], "the far end": [end.pid]}

    def taken_s() -> dict[str, float]:
        return {name: sum(map(cpu_s, pids)) for name, pids in processes.items()}

    before, first, start_s = taken_s(), end.count(), time.monotonic()
    time.sleep(seconds)
    after, last, end_s = taken_s(), end.count(), time.monotonic()
    calls = last - first
    cpu_us = {name: (after[name] - before[name]) * 1e6 / calls for name in processes}
    return Used(calls / (end_s - start_s), cpu_us)


def _holders(hub: RunningHub) -> int:
    """Return the number of workers that hold a lane."""
    count = "SELECT count(DISTINCT holder) FROM lanes WHERE lease_until > clock_timestamp()"
    url = hub.environ["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as connection:
        [(found,)] = connection.execute(count).fetchall()
    return int(found)
