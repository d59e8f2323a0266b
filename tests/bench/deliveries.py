"""Benchmark rows 3 and 4: one worker's delivery rate to a slow and a quick destination.

Baselines run beside it. The backlog is in the database before the worker starts. All rates are
measured at the far end: calls per second from the first call on, whichever client makes them.
"""

from pathlib import Path

from tests.bench import plain
from tests.bench.far_end import far_end
from tests.bench.load import Webhooks, press
from tests.bench.report import Row, Target
from tests.bench.stage import Stage, program

SLOW_S = 0.1
SLOW_CONCURRENCY = 64
# Eight is a destination's default; 64 is that of the row before, and the target is set there.
QUICK_CONCURRENCIES = (8, 64)
MOST_PER_S = 1500
MOST_FORKS_PER_S = 200

CONFIG = """
sources: {{stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}}}
destinations:
  ops: {{adapter: http, url: "${{FAR_END}}", secret: "${{OPS_SECRET}}", concurrency: {concurrency}}}
routes:
"""
ROUTE = """  {name}:
    on: "payment.*"
    live: any
    do: ops.post
    with: {{body: {{event: "{{{{ event.external_id }}}}", type: "{{{{ event.type }}}}"}}}}
"""
ROUTES = ("one", "two", "three")


def measure_slow(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the rate to a destination that takes 100 ms, beside the limit of its slots."""
    row = Row("slow destination")
    best = SLOW_CONCURRENCY / SLOW_S
    for _ in range(rounds):
        rate = _hub(stage, seconds, SLOW_CONCURRENCY, best * 1.1, delay_s=SLOW_S)
        loop = _loop(stage, seconds, SLOW_CONCURRENCY, delay_s=SLOW_S)
        row.add("hub", "/s", rate)
        row.add("bare loop of requests", "/s", loop)
        row.add(f"hub ÷ {best:.0f}/s", "×", rate / best, Target(0.85))
    return row


def measure_quick(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the rates to a destination that answers immediately."""
    row = Row("quick destination")
    for _ in range(rounds):
        forks = _forks(stage, seconds)
        row.add("a forked RQ job each", "/s", forks)
        rates: dict[int, float] = {}
        loops: dict[int, float] = {}
        for concurrency in QUICK_CONCURRENCIES:
            loops[concurrency] = _loop(stage, seconds, concurrency)
            rates[concurrency] = _hub(stage, seconds, concurrency, MOST_PER_S)
            row.add(f"bare loop, {concurrency} threads", "/s", loops[concurrency])
            row.add(f"hub, concurrency {concurrency}", "/s", rates[concurrency])
        fewest, most = QUICK_CONCURRENCIES
        row.add("hub ÷ forked jobs", "×", rates[fewest] / forks, Target(8))
        row.add(f"hub ÷ bare loop, {fewest} each", "×", rates[fewest] / loops[fewest])
        best = rates[most] / max(loops.values())
        row.add(f"hub, {most} ÷ fastest bare loop", "×", best, Target(0.5))
    return row


def _hub(
    stage: Stage, seconds: float, concurrency: int, most_per_s: float, *, delay_s: float = 0
) -> float:
    config = CONFIG.format(concurrency=concurrency)
    config += "".join(ROUTE.format(name=name) for name in ROUTES)
    events = int(most_per_s * seconds) // len(ROUTES)
    with (
        far_end(stage.folder, delay_s=delay_s) as end,
        stage.hub(config, FAR_END=end.url) as hub,
    ):
        hub.start("web")
        pressed = press(hub.port, Webhooks("backlog").requests(events), seconds=60)
        assert pressed.accepted == events, "the backlog could not be made"
        hub.start("worker")
        return end.rate(seconds=seconds, at_most=events * len(ROUTES))


def _loop(stage: Stage, seconds: float, threads: int, *, delay_s: float = 0) -> float:
    count = int(2 * MOST_PER_S * seconds)
    with far_end(stage.folder, delay_s=delay_s) as end:
        arguments = ["tests.bench.bare_loop", end.url, str(threads), str(count)]
        with program(arguments, {}, stage.folder / "loop.log"):
            return end.rate(seconds=seconds, at_most=count)


def _forks(stage: Stage, seconds: float) -> float:
    count = int(MOST_FORKS_PER_S * seconds)
    log: Path = stage.folder / "forks.log"
    with far_end(stage.folder) as end, stage.database(empty=True):
        plain.enqueue(stage.redis.url, end.url, count)
        with program(["tests.bench.plain", stage.redis.url], {}, log):
            return end.rate(seconds=seconds, at_most=count)
