"""The worker: RQ's `SimpleWorker` on the one queue, for the one job.

Whoever can write to Redis could otherwise run any function here: names are looked up in a list,
never imported, and a job that brings arguments or callbacks is refused.
"""

import faulthandler
import logging
from collections.abc import Callable, Mapping
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

from hub.gateways.logs import place_of
from hub.gateways.redis_queue import DRAIN, QUEUE, connect
from hub.process.signals import when_told_to_end
from hub.worker.context import WorkerContext, set_current
from hub.worker.drain import drain

WORKER_TTL_S = 30
MAINTENANCE_EVERY_S = 15
# A worker's connection blocks for a job for `WORKER_TTL_S - 15`; its time-out must be longer.
LONGEST_WAIT_S = 20.0
WITHOUT_REDIS_EVERY_S = 1.0

JOBS: Mapping[str, Callable[[], None]] = {DRAIN: drain}

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A job failed: with what and where, but not in its words, which may quote a body."""


class ListedJob(Job):
    """A job that can run nothing but what is listed."""

    def perform(self) -> None:
        """Run the listed function.

        Raises:
            PermissionError: it is not listed, or brings arguments.
            JobFailed: it failed; RQ logs that and keeps it.
        """
        job = JOBS.get(self.func_name or "")
        if job is None or self.args or self.kwargs or self._instance:
            raise PermissionError("a job that is not the hub's was refused")
        try:
            job()
        except Exception as error:  # noqa: BLE001 - whatever it is, its words stay here
            raise JobFailed(f"{type(error).__name__} at {place_of(error)}") from None

    def execute_success_callback(self, *_: Any, **__: Any) -> None:
        """Run nothing: the hub's jobs have no callbacks."""

    def execute_failure_callback(self, *_: Any, **__: Any) -> None:
        """Run nothing: the hub's jobs have no callbacks."""

    def execute_stopped_callback(self, *_: Any, **__: Any) -> None:
        """Run nothing: the hub's jobs have no callbacks."""

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Send nothing: the hub's jobs have no webhooks."""


class HubWorker(SimpleWorker):
    """Ends a drain gently when it is told to stop; leaves signals to `run`."""

    job_class = ListedJob
    busy = False

    def _install_signal_handlers(self) -> None:
        pass

    def heartbeat(self, *arguments: Any, **options: Any) -> None:
        """Tell Redis that we live; end `work()` when it cannot be told.

        RQ would wait for Redis inside its own loop, and nothing would be done meanwhile.
        """
        try:
            super().heartbeat(*arguments, **options)
        except RedisConnectionError as error:
            raise StopRequested from error

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in this process, between two looks for a request to stop."""
        self.busy = True
        try:
            super().execute_job(job, queue)
        finally:
            self.busy = False

    def stop_soon(self) -> None:
        """Stop after the job under way, or at once when there is none (from a signal handler)."""
        self._stop_requested = True
        if not self.busy:
            raise StopRequested


_WORKERS: list[HubWorker] = []


def listen_for_signals(workshop: WorkerContext) -> None:
    """Make signals mean: finish what is under way, then end."""

    def end() -> None:
        log.info("stopping: finishing what is under way")
        workshop.stop.set()
        if _WORKERS:
            _WORKERS[-1].stop_soon()

    when_told_to_end(end)


def run(workshop: WorkerContext) -> None:
    """Work until told to stop. Without Redis, look into the database every second.

    A crash (of a library that is not Python) says in which calls it came, as far as it can.
    """
    faulthandler.enable()
    set_current(workshop)
    gone = False
    while not workshop.stop.is_set():
        try:
            _WORKERS[:] = [_worker(workshop.redis_url)]
            if gone:
                log.info("Redis is back")
                gone = False
            _WORKERS[-1].work(logging_level="WARNING")
        except (RedisError, StopRequested):
            pass
        _WORKERS.clear()
        if not workshop.stop.is_set():
            if not gone:
                log.warning("Redis is gone: working from the database alone until it is back")
            gone = True
            drain()
            workshop.stop.wait(WITHOUT_REDIS_EVERY_S)


def _worker(url: str) -> HubWorker:
    redis = connect(url, timeout_s=LONGEST_WAIT_S)
    redis.ping()
    return HubWorker(
        [QUEUE],
        connection=redis,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_EVERY_S,
        log_job_description=False,
    )
