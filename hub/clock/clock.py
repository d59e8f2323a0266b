"""Clock loop: sweeps every few seconds, starts background tasks, counts hourly statistics.

A second clock is harmless.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from hub.clock.projections import ProjectionBackup
from hub.clock.replays import ReplayTask
from hub.clock.retention import RetentionTask
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.poison import end_alerts
from hub.core.delivery.reconcile import alert_unsettled, close_confirmed
from hub.core.delivery.restore_detection import end_restore_alert
from hub.core.delivery.sweep import destinations_to_wake, sweep
from hub.core.events.backfill import is_listing_due
from hub.core.events.enrichment import FetchCursor, schedule_fetches
from hub.core.events.projections import is_pending
from hub.core.hub import Hub
from hub.core.leads.cap_alerts import end_expired_alerts
from hub.core.leads.escalation import escalate
from hub.core.leads.rate_counters import prune
from hub.core.monitoring import alerts, proxies
from hub.core.monitoring.heartbeats import CLOCK, alert_unserved, beat
from hub.core.monitoring.source_health import alert_silence
from hub.core.monitoring.storage import alert_storage
from hub.core.ports import EVENTS
from hub.core.queries.hourly_stats import count_hour, keep_hours, next_to_count
from hub.gateways.logs import place_of
from hub.gateways.redis_queue import WakeUpQueues
from hub.gateways.restore_check import check_restored

COUNT_EVERY_S = 15.0
# How long a queue may have no worker until somebody is told.
ALONE_S = 60.0

log = logging.getLogger(__name__)
EVERY_S = 5.0
DELETING = "deleting what is too old"
FETCHES = 200
ESCALATES = 100


class HourlyStatsTask:
    """Task that counts hourly statistics for the dashboard, every `COUNT_EVERY_S` seconds.

    It reads first, and then writes a few rows.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._next_s = 0.0

    def run_if_due(self) -> None:
        """Count the statistics if they are due; log a database error."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + COUNT_EVERY_S
        try:
            self._count(datetime.now(UTC))
        except DBAPIError as error:
            log.warning("hourly statistics were not updated (%s)", type(error.orig).__name__)

    def _count(self, now: datetime) -> None:
        configuration = self._hub.configuration
        with self._hub.store.read() as connection:
            counted = [
                count_hour(connection, configuration, start, now=now)
                for start in next_to_count(connection, now=now)
            ]
        with self._hub.store.write(bulk=True) as connection:
            keep_hours(connection, counted, now=now)


class WorkerWatch:
    """Watch over queues that no living worker serves, by RQ's registry."""

    def __init__(self, queues: WakeUpQueues, names: Sequence[str]) -> None:
        self._queues = queues
        self._names = names
        self._since_s: dict[str, float] = {}

    def without_worker(self) -> set[str]:
        """Return the queues that have had no worker for `ALONE_S`; nothing is known without Redis.

        An emptied Redis forgets the workers; each registers again when it ends its job.
        """
        now_s = time.monotonic()
        try:
            alone = set(self._names) - self._queues.served(self._names)
        except RedisError:
            alone = set()
        self._since_s = {name: self._since_s.get(name, now_s) for name in alone}
        return {name for name, since_s in self._since_s.items() if now_s - since_s >= ALONE_S}


def run(hub: Hub, redis: Redis, queues: WakeUpQueues, stop: Event) -> None:
    """Run the clock until a stop is requested, also while the database or Redis is unavailable."""
    troubles: set[str] = set()
    hours, replays, round_ = HourlyStatsTask(hub), ReplayTask(hub), FetchCursor()
    workers = WorkerWatch(queues, [*_enabled(hub), EVENTS])
    backup, retention = ProjectionBackup(hub, queues), RetentionTask(hub)
    while True:
        _note(troubles, tick(hub, redis, queues, round_, hours, workers, backup, retention))
        replays.start_if_idle()
        retention.start_if_idle()
        if stop.wait(EVERY_S):
            return


def tick(
    hub: Hub,
    redis: Redis,
    queues: WakeUpQueues,
    round_: FetchCursor | None = None,
    hours: HourlyStatsTask | None = None,
    workers: WorkerWatch | None = None,
    backup: ProjectionBackup | None = None,
    retention: RetentionTask | None = None,
) -> set[str]:
    """Run every duty once; return a sentence for each failure.

    A failed duty stops no other, unless the database is unavailable.
    """
    backup = backup or ProjectionBackup(hub, queues)
    duties: Mapping[str, Callable[[], object]] = {
        "looking for a restored database": lambda: check_restored(hub, redis, queues.names.hub_id),
        "sweeping": lambda: _sweep(hub, round_),
        "asking people": lambda: _ask(hub, workers, backup),
        "escalating": lambda: _escalate(hub),
        "folding": backup.fold,
        "indexing": backup.index,
        "counting the hours": lambda: hours.run_if_due() if hours else None,
        DELETING: lambda: retention.raise_failure() if retention else None,
    }
    troubles: set[str] = set()
    broken: dict[str, str] = {}
    for name, duty in duties.items():
        try:
            duty()
        except DBAPIError as error:
            kind = classify(error)
            if kind is DatabaseErrorKind.REJECTED_ROW:
                broken[name] = f"{type(error.orig).__name__} at {place_of(error)}"
                continue
            troubles.add(f"the database does not answer ({type(error.orig).__name__})")
            if kind is DatabaseErrorKind.UNAVAILABLE:
                break
        except Exception as error:  # noqa: BLE001 - the last resort of a duty
            broken[name] = f"{type(error).__name__} at {place_of(error)}"
    elsewhere = {DELETING} if retention and not retention.is_mine else set()
    _tell_of_broken(hub, broken, elsewhere)
    try:
        queues.wake(_with_due_work(hub))
    except RedisError as error:
        troubles.add(f"Redis does not answer ({type(error).__name__})")
    return troubles | {f"{name} failed: {why}" for name, why in broken.items()}


def _sweep(hub: Hub, round_: FetchCursor | None) -> None:
    with hub.store.write() as connection:
        sweep(connection, hub.configuration)
        now = datetime.now(UTC)
        schedule_fetches(connection, hub, most=FETCHES, now=now, round_=round_)
        close_confirmed(connection, now=now)


def _with_due_work(hub: Hub) -> Collection[str]:
    """Return the queues in which a job may have work; all of them if the database cannot say."""
    now = datetime.now(UTC)
    try:
        with hub.store.read() as connection:
            due = destinations_to_wake(connection, hub, now=now)
            if is_pending(connection) or is_listing_due(connection, hub, now=now):
                due.add(EVENTS)
            return due
    except DBAPIError:
        return {*hub.configuration.destinations, EVENTS}


def _enabled(hub: Hub) -> list[str]:
    return [one.slug for one in hub.configuration.destinations.values() if one.enabled]


def _ask(hub: Hub, workers: WorkerWatch | None, backup: ProjectionBackup) -> None:
    unserved = workers.without_worker() if workers else set()
    if backup.late_s() >= ALONE_S:
        unserved |= {EVENTS}
    now = datetime.now(UTC)
    with hub.store.write() as connection:
        alert_unsettled(connection, hub, now=now)
        alert_silence(connection, hub.configuration, now=now)
        alert_unserved(connection, hub.configuration, unserved, now=now)
        alert_storage(connection, hub.configuration, hub.disk, now=now)
        beat(connection, CLOCK)
        told = alerts.open_kinds(connection)
        if alerts.RESTORED in told:
            end_restore_alert(connection, now=now)
        if alerts.ENDS_WORKERS in told:
            end_alerts(connection, now=now)
        if alerts.UNDECLARED_PROXY in told:
            proxies.end_alert(connection, now=now)


def _escalate(hub: Hub) -> None:
    now = datetime.now(UTC)
    with hub.store.write() as connection:
        escalate(connection, hub, most=ESCALATES, now=now)
        end_expired_alerts(connection, now=now)
        prune(connection, now=now)


def _tell_of_broken(hub: Hub, broken: Mapping[str, str], elsewhere: Set[str]) -> None:
    """Begin an alert for each failing duty, and end those of the others, if they are done here."""
    now = datetime.now(UTC)
    with suppress(DBAPIError):
        with hub.store.read() as connection:
            mended = alerts.subjects(connection, alerts.DUTY_FAILS)
            mended -= broken.keys() | elsewhere
        if broken or mended:
            _update_broken(hub, mended, broken, now)


def _update_broken(
    hub: Hub, mended: Collection[str], broken: Mapping[str, str], now: datetime
) -> None:
    with hub.store.write() as connection:
        for name in mended:
            alerts.end(connection, alerts.DUTY_FAILS, name, now=now)
        for name, why in broken.items():
            sentence = f"The clock's {name} fails ({why}): the logs say more."
            alerts.begin(connection, alerts.DUTY_FAILS, name, sentence, now=now)


def _note(known: set[str], now: set[str]) -> None:
    """Log new troubles and those that are over, but not those that continue."""
    for trouble in sorted(now - known):
        log.error("%s", trouble)
    for trouble in sorted(known - now):
        log.info("resolved: %s", trouble)
    known.clear()
    known.update(now)
