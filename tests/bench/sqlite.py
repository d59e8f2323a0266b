"""Benchmark row: ingest on SQLite beside a worker with a backlog, and the same on PostgreSQL.

Web, worker and clock run as `hub up` starts them. Each 2xx is counted in the database afterwards.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sqlalchemy import func, select

from hub.core.models import Delivery, StoredEvent
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import upgrade
from tests.bench.deliveries import CONFIG as DESTINATION
from tests.bench.deliveries import ROUTE, ROUTES
from tests.bench.far_end import far_end
from tests.bench.load import Webhooks, press
from tests.bench.report import Row, Target
from tests.bench.stage import Stage
from tests.running import RunningHub, until

SENDERS = (16, 64)
# A destination's default.
CONCURRENCY = 8
CONFIG = DESTINATION.format(concurrency=CONCURRENCY) + "".join(
    ROUTE.format(name=name) for name in ROUTES
)
# Events whose deliveries wait when the senders begin; they bring more than a worker can call.
BACKLOG = 600
ASKED_PER_S, ASKED_OF_POSTGRESQL = 400, 0.25
PRESIGNED_PER_S = 6000


@dataclass(frozen=True)
class Beside:
    """Ingest beside a worker that is busy: webhooks and calls a second, answers, their time."""

    accepted_per_s: float
    called_per_s: float
    refused: int
    p99_ms: float


def measure(stage: Stage, *, rounds: int, seconds: float) -> Row:
    """Return what SQLite takes in and calls beside PostgreSQL, for each number of senders."""
    row = Row("sqlite")
    for _ in range(rounds):
        for senders in SENDERS:
            plain, large = (
                _beside_backlog(stage, on, senders, seconds) for on in (_on_sqlite, _on_postgresql)
            )
            asked = min(ASKED_PER_S, ASKED_OF_POSTGRESQL * large.accepted_per_s)
            name = f"{senders} senders"
            row.add(f"{name}: SQLite", "/s", plain.accepted_per_s)
            row.add(f"{name}: PostgreSQL", "/s", large.accepted_per_s)
            row.add(f"{name}: SQLite ÷ asked", "×", plain.accepted_per_s / asked, Target(1))
            row.add(f"{name}: p99", "ms", plain.p99_ms, Target(250, at_most=True))
            row.add(f"{name}: p99, PostgreSQL", "ms", large.p99_ms)
            row.add(f"{name}: not 2xx", "", plain.refused, Target(0, at_most=True))
            row.add(f"{name}: calls", "/s", plain.called_per_s)
            row.add(f"{name}: calls, PostgreSQL", "/s", large.called_per_s)
            ratio = plain.called_per_s / large.called_per_s
            row.add(f"{name}: calls ÷ PostgreSQL", "×", ratio, Target(0.6))
    return row


def _on_postgresql(stage: Stage, **environ: str) -> AbstractContextManager[RunningHub]:
    return stage.hub(CONFIG, **environ)


@contextmanager
def _on_sqlite(stage: Stage, **environ: str) -> Iterator[RunningHub]:
    url = f"sqlite:///{stage.folder}/sqlite-{time.monotonic_ns()}.db"
    upgrade(url)
    with stage.hub(CONFIG, DATABASE_URL=url, **environ) as hub:
        yield hub


def _beside_backlog(
    stage: Stage,
    begin: Callable[..., AbstractContextManager[RunningHub]],
    senders: int,
    seconds: float,
) -> Beside:
    webhooks = Webhooks("beside")
    with far_end(stage.folder) as end, begin(stage, FAR_END=end.url) as hub:
        hub.start("web")
        backlog = press(hub.port, webhooks.requests(BACKLOG), seconds=60)
        ready = webhooks.requests(int(PRESIGNED_PER_S * seconds))
        hub.start("worker", "clock")
        until(end.count, 30, "the worker's first call")
        begun, begun_s = end.count(), time.monotonic()
        pressed = press(hub.port, ready, seconds=seconds, connections=senders)
        called = (end.count() - begun) / (time.monotonic() - begun_s)
        hub.kill("worker")
        _check_stored(hub, backlog.accepted + pressed.accepted)
    return Beside(pressed.per_s, called, pressed.refused, pressed.quantile_ms(99))


def _check_stored(hub: RunningHub, accepted: int) -> None:
    """Check that each 2xx has its row and its deliveries.

    Raises:
        AssertionError: some are missing.
    """
    database = open_database(hub.environ["DATABASE_URL"])
    with database.read() as connection:
        events = connection.scalar(select(func.count()).select_from(StoredEvent))
        deliveries = connection.scalar(select(func.count()).select_from(Delivery))
    database.engine.dispose()
    assert (events or 0) >= accepted, "answered, and not in the database"
    assert deliveries == len(ROUTES) * events, "deliveries are missing"
