"""Benchmark row `beside`: ingest beside a worker that has a large backlog, and without one.

The sender posts at half of the rate that ingest alone takes in the same round, whatever the
answers. The worker's destination answers at once, with 64 slots. Both have a backlog in their
database; only one has a worker. Web, database and sender are shared by all, on the same cores.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.bench.deliveries import CONFIG, ROUTE, ROUTES
from tests.bench.far_end import far_end
from tests.bench.load import Webhooks, press
from tests.bench.report import Row, Target, in_turn
from tests.bench.stage import Stage
from tests.bench.steady import quantile_ms, steady
from tests.running import RunningHub, until

SHARE = 0.5
MOST_RATIO = 2
CONCURRENCY = 64
# Each connection is opened anew within this time.
WARM_UP_S = 4.0
# More than any worker calls within a measurement, with what is posted meanwhile.
BACKLOG_PER_S = 700
PRESIGNED_PER_S = 8000


def measure(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return the p99 of ingest at half its rate, alone and beside a working worker."""
    row = Row("beside")
    for number in range(rounds):
        full = _full_rate(stage, seconds)
        per_s = SHARE * full
        subjects: dict[str, Callable[[], tuple[list[float], float]]] = {
            "alone": partial(_at, stage, seconds, per_s, with_worker=False),
            "beside": partial(_at, stage, seconds, per_s, with_worker=True),
        }
        done = in_turn(subjects, number)
        (alone_s, _), (beside_s, calls_per_s) = done["alone"], done["beside"]
        row.add("ingest alone, full rate", "/s", full)
        row.add("ingest alone at half: p50", "ms", quantile_ms(alone_s, 50))
        row.add("ingest alone at half: p99", "ms", quantile_ms(alone_s, 99))
        row.add("beside a worker: p50", "ms", quantile_ms(beside_s, 50))
        row.add("beside a worker: p99", "ms", quantile_ms(beside_s, 99))
        row.add("the worker's calls meanwhile", "/s", calls_per_s)
        ratio = quantile_ms(beside_s, 99) / quantile_ms(alone_s, 99)
        row.add("p99 beside ÷ p99 alone", "×", ratio, Target(MOST_RATIO, at_most=True))
    return row


def _full_rate(stage: Stage, seconds: float) -> float:
    with stage.hub(_config(), FAR_END="http://127.0.0.1:1") as hub:
        hub.start("web")
        press(hub.port, Webhooks("warm").requests(600), seconds=seconds)
        ready = Webhooks("full").requests(int(PRESIGNED_PER_S * seconds))
        return press(hub.port, ready, seconds=seconds).per_s


def _at(
    stage: Stage, seconds: float, per_s: float, *, with_worker: bool
) -> tuple[list[float], float]:
    """Return the times of all webhooks, and the calls that a worker made a second meanwhile."""
    with ExitStack() as stack:
        end = stack.enter_context(far_end(stage.folder))
        hub = stack.enter_context(stage.hub(_config(), FAR_END=end.url))
        hub.start("web")
        _fill(hub, int(BACKLOG_PER_S * (seconds + WARM_UP_S)))
        ready = Webhooks("steady").requests(int(per_s * (WARM_UP_S + seconds)))
        if with_worker:
            hub.start("worker")
            until(end.count, 30, "the worker's first call")
        before = end.count()
        took_s = steady(hub.port, ready, per_s=per_s, uncounted=int(WARM_UP_S * per_s))
        return took_s, (end.count() - before) / (WARM_UP_S + seconds)


def _config() -> str:
    routes = "".join(ROUTE.format(name=name) for name in ROUTES)
    return CONFIG.format(concurrency=CONCURRENCY) + routes


def _fill(hub: RunningHub, events: int) -> None:
    pressed = press(hub.port, Webhooks("backlog").requests(events), seconds=60)
    assert pressed.accepted == events, "the backlog could not be made"
