"""Benchmark rows `slow` and `quick`: one worker's delivery rate to such destinations.

Baselines run beside it. The backlog is in the database before the worker starts. All rates are
measured at the far end: calls per second from the first call on, whichever client makes them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import plain
from tests.bench.far_end import far_end
from tests.bench.load import Webhooks, press
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage, program

SLOW_S = 0.1
SLOW_CONCURRENCY = 64
# Targets by concurrency, 8 is a destination's default: the hub's rate over that of a bare loop with
# as many threads.
QUICK_TARGETS = {8: 0.7, 64: 0.85}
MOST_PER_S = 2500
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
    """Return the rate to a destination that takes 100 ms, beside a bare loop with as many slots."""
    row = Row("slow destination")
    best = SLOW_CONCURRENCY / SLOW_S
    subjects = {
        "hub": lambda: _hub(stage, seconds, SLOW_CONCURRENCY, best * 1.1, delay_s=SLOW_S),
        "bare loop": lambda: _loop(stage, seconds, SLOW_CONCURRENCY, delay_s=SLOW_S),
    }
    for number in range(rounds):
        rates = in_turn(subjects, number)
        row.add("hub", "/s", rates["hub"])
        row.add("bare loop of requests", "/s", rates["bare loop"])
        row.add(f"hub ÷ {best:.0f}/s", "×", rates["hub"] / best)
        row.add("hub ÷ bare loop", "×", rates["hub"] / rates["bare loop"], Target(0.85))
    return row


def measure_quick(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the rates to a destination that answers immediately, beside bare loops and forks."""
    row = Row("quick destination")
    subjects: dict[str, Callable[[], float]] = {"forks": lambda: _forks(stage, seconds)}
    for concurrency in QUICK_TARGETS:
        subjects |= {
            f"requests {concurrency}": partial(_loop, stage, seconds, concurrency),
            f"hub {concurrency}": partial(_hub, stage, seconds, concurrency, MOST_PER_S),
            f"urllib3 {concurrency}": partial(_loop, stage, seconds, concurrency, client="urllib3"),
        }
    for number in range(rounds):
        rates = in_turn(subjects, number)
        row.add("a forked RQ job each", "/s", rates["forks"])
        row.add("hub ÷ forked jobs", "×", rates["hub 8"] / rates["forks"], Target(8))
        for concurrency, target in QUICK_TARGETS.items():
            hub, loop = rates[f"hub {concurrency}"], rates[f"requests {concurrency}"]
            bare = rates[f"urllib3 {concurrency}"]
            row.add(f"bare loop, {concurrency} threads", "/s", loop)
            row.add(f"bare urllib3, {concurrency} threads", "/s", bare)
            row.add(f"hub, concurrency {concurrency}", "/s", hub)
            row.add(f"hub ÷ bare loop, {concurrency} each", "×", hub / loop, Target(target))
            row.add(f"hub ÷ bare urllib3, {concurrency} each", "×", hub / bare)
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


def _loop(
    stage: Stage, seconds: float, threads: int, *, delay_s: float = 0, client: str = "requests"
) -> float:
    count = int(4 * MOST_PER_S * seconds)
    with far_end(stage.folder, delay_s=delay_s) as end:
        arguments = ["tests.bench.bare_loop", client, end.url, str(threads), str(count)]
        with program(arguments, {}, stage.folder / "loop.log"):
            return end.rate(seconds=seconds, at_most=count)


def _forks(stage: Stage, seconds: float) -> float:
    count = int(MOST_FORKS_PER_S * seconds)
    log: Path = stage.folder / "forks.log"
    with far_end(stage.folder) as end, stage.database(empty=True):
        plain.enqueue(stage.redis.url, end.url, count)
        with program(["tests.bench.plain", "forking", stage.redis.url], {}, log):
            return end.rate(seconds=seconds, at_most=count)
