"""Stage of engine tests: workers inside the test, with a real database, Redis and far end."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import select, update

from adapters import InboundRequest
from hub.bootstrap import create_hub, find_names, prepare_store
from hub.core.hub import Hub
from hub.core.inbound.ingest import IngestResult, PreparedRequest, ingest
from hub.core.models import DUE_STATES, Attempt, Delivery, Lane, StoredEvent, database_later
from hub.core.replays.replay import Planned, preview_deliveries, replay_deliveries
from hub.gateways.database.engine import open_database
from hub.processes import create_worker_context
from hub.settings import Settings, load_settings
from hub.worker.context import WorkerContext
from hub.worker.drain import Drain
from hub.worker.lane import RateLimiter
from tests.far_end import FarEnd, Received, Reply
from tests.receiving import prepare
from tests.running import OPS_SECRET, STRIPE_SECRET, stripe_event, stripe_signature, until

SOURCE = """
sources: {stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}}
"""
KEYED = """
destinations: {ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}"OPTIONS}}
routes:
  all: {on: payment.succeeded, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
"""
# Slack has no key and no look-up: an unknown outcome of a call stays unknown.
ONCE = """
destinations: {ops: {adapter: slack, url: "${FAR_END}/ops"OPTIONS}}
routes:
  all: {on: payment.succeeded, do: ops.post, with: {text: "{{ event.external_id }}"}}
"""


def keyed(options: str = "") -> str:
    """Return a file with one destination whose action is keyed."""
    return KEYED.replace("OPTIONS", f", {options}" if options else "")


def once(options: str = "") -> str:
    """Return a file with one destination whose action is at most once."""
    return ONCE.replace("OPTIONS", f", {options}" if options else "")


class Stage:
    """Makes worker contexts over one database, ingests webhooks, and reads the tables."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, far_end: FarEnd) -> None:
        self.folder = folder
        self.far_end = far_end
        self.store = open_database(database_url.replace("postgresql://", "postgresql+psycopg://"))
        self._urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self._shops: list[WorkerContext] = []
        self._files = 0

    def environ(self, config: str) -> dict[str, str]:
        """Return the environment of a hub with this file."""
        self._files += 1
        path = self.folder / f"hub-{self._files}.yaml"
        path.write_text(SOURCE + config)
        return self._urls | {
            "HUB_CONFIG": str(path),
            "HUB_ALLOW_PRIVATE_DESTINATIONS": "1",
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "OPS_SECRET": OPS_SECRET,
            "FAR_END": self.far_end.url,
        }

    def settings(self, config: str) -> tuple[Settings, Mapping[str, str]]:
        environ = self.environ(config)
        return load_settings(environ), environ

    def worker_context(self, config: str, *destinations: str) -> WorkerContext:
        """Return the context of a worker with this file, for these destinations or for all."""
        settings, environ = self.settings(config)
        hub = create_hub(settings, environ)
        prepare_store(hub)
        names = find_names(settings, hub.configuration, hub.store)
        assert names is not None
        worker = create_worker_context(settings, hub, names, Event(), destinations)
        self._shops.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._shops:
            worker.stop.set()
            worker.subscriber.close()
            worker.redis.close()
            worker.pool.shutdown(wait=False)
            worker.hub.store.engine.dispose()
        self.store.engine.dispose()

    def prepared(self, hub: Hub, event_id: str, **changes: Any) -> PreparedRequest:
        body = stripe_event(event_id, **changes)
        headers = {"stripe-signature": stripe_signature(body)}
        url = "http://hub/webhooks/stripe"
        received = InboundRequest("POST", url, headers, body, datetime.now(UTC))
        return prepare(hub, received, "stripe")

    def put(self, worker: WorkerContext, *event_ids: str, **changes: Any) -> IngestResult:
        """Ingest webhooks as web would with the worker's file; return the last result."""
        for event_id in event_ids:
            prepared = self.prepared(worker.hub, event_id, **changes)
            with self.store.write() as connection:
                taken = ingest(connection, prepared)
        return taken

    def rows(self, table: Any) -> list[Any]:
        """Return all rows of a table, the oldest first."""
        with self.store.read() as connection:
            return list(
                connection.execute(select(table.__table__).order_by(*table.__mapper__.primary_key))
            )

    @property
    def deliveries(self) -> list[Any]:
        return self.rows(Delivery)

    @property
    def delivery(self) -> Any:
        [delivery] = self.deliveries
        return delivery

    @property
    def attempts(self) -> list[Any]:
        return sorted(self.rows(Attempt), key=lambda row: (row.delivery_id, row.n))

    @property
    def lane(self) -> Any:
        [lane] = [row for row in self.rows(Lane) if row.destination == "ops"]
        return lane

    def change(self, table: Any, *where: Any, **values: Any) -> None:
        """Set columns of all matching rows."""
        with self.store.write() as connection:
            connection.execute(update(table).where(*where).values(**values))

    def make_due(self) -> None:
        """Make everything that waits due since a second."""
        self.change(Delivery, Delivery.state.in_(DUE_STATES), next_attempt_at=database_later(-1.0))

    def end_leases(self, ago_s: float = 1.0) -> None:
        self.change(Lane, lease_until=database_later(-ago_s))

    def drain(self, worker: WorkerContext, times: int = 1) -> None:
        """Run drains, and afterwards what runs beside them: the projector's round."""
        for _ in range(times):
            Drain(worker).run()
        if worker.projector:
            worker.projector.project_all()

    def die_calling(self, worker: WorkerContext) -> None:
        """Claim and call due deliveries, and never record: the state after a killed worker."""
        before = len(self.far_end.received)
        Drain(worker)._tick(look=True)
        until(lambda: len(self.far_end.received) > before, 10, "a call")

    def plan(self, worker: WorkerContext, *, again: bool = False, **where: Any) -> list[Planned]:
        with self.store.read() as connection:
            return preview_deliveries(connection, worker.hub, where, again=again)

    def replay(self, worker: WorkerContext, planned: list[Planned], *, reason: str = "") -> int:
        now = datetime.now(UTC)
        with self.store.write() as connection:
            return replay_deliveries(
                connection, worker.hub, planned, actor="test", now=now, reason=reason
            )


class Draining:
    """Drain in a thread of its own; a context manager that joins it and keeps its exception."""

    def __init__(self, worker: WorkerContext) -> None:
        self.error: BaseException | None = None
        self._drain = Drain(worker)
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Draining":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._drain.run()
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            self.error = error


class Held:
    """Far end behaviour that keeps callers waiting until `open` is set."""

    def __init__(self, far_end: FarEnd, reply: Reply = Reply(200, b"ok")) -> None:  # noqa: B008
        self.open = Event()
        self.reply = reply
        self._far_end = far_end
        far_end.behave = self._behave

    def wait_for_call(self, count: int = 1) -> None:
        until(lambda: len(self._far_end.received) >= count, 10, "a call")

    def _behave(self, _: Received) -> Reply:
        self.open.wait(20)
        return self.reply


def eventually(leases: Callable[[], Any], within_s: float = 10) -> None:
    until(leases, within_s, "it")


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def unfolded(stage: Stage) -> list[str]:
    return [row.external_id for row in stage.rows(StoredEvent) if not row.folded]


def noted_starts_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list to which each start that a rate limiter counts from now on is added.

    Seconds of the monotonic clock. When a call arrives says less: one that started may reach the
    far end late on a busy machine, and the next one at once after it.
    """
    starts_s: list[float] = []
    start = RateLimiter.start

    def noted(limiter: RateLimiter, now_s: float, count: int) -> None:
        start(limiter, now_s, count)
        starts_s.extend([now_s] * count)

    monkeypatch.setattr(RateLimiter, "start", noted)
    return starts_s


def shortest_span_s(starts_s: list[float], count: int) -> float:
    """Return the seconds between a start and the one `count` later, where that is least."""
    ordered = sorted(starts_s)
    return min(late - early for early, late in zip(ordered, ordered[count:], strict=False))


def has_started_first(starts_s: list[float], far_end: FarEnd) -> bool:
    """Return whether at no time more calls had arrived at the far end than starts were counted."""
    calls_s = sorted(one.at_s for one in far_end.received)
    return all(start_s <= at_s for start_s, at_s in zip(sorted(starts_s), calls_s, strict=True))
