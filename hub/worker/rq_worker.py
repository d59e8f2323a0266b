"""Worker loop: RQ's `SimpleWorker`, restricted to the hub's one queue and one job.

Otherwise any client that can write to Redis could run any function here. Job names are looked up in
`JOBS`, never imported, and a job with arguments or callbacks is refused.
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
# A worker's connection blocks for `WORKER_TTL_S - 15` to get a job; its time-out must be longer.
LONGEST_WAIT_S = 20.0
WITHOUT_REDIS_EVERY_S = 1.0

JOBS: Mapping[str, Callable[[], None]] = {DRAIN: drain}

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """Job failure: the exception's class and position. Its message may quote a body: left out."""


class ListedJob(Job):
    """Job that can only run the functions listed in `JOBS`."""

    def perform(self) -> None:
        """Run the listed function.

        Raises:
            PermissionError: the function is not listed, or the job has arguments.
            JobFailed: the function failed; RQ logs and stores this exception.
        """
        job = JOBS.get(self.func_name or "")
        if job is None or self.args or self.kwargs or self._instance:
            raise PermissionError("a job that is not the hub's was refused")
        try:
            job()
        except Exception as error:  # noqa: BLE001 - no exception's message may leave the job
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
    """RQ worker that stops gracefully; its signal handlers are those of `listen_for_signals`."""

    job_class = ListedJob
    busy = False

    def _install_signal_handlers(self) -> None:
        pass

    def heartbeat(self, *arguments: Any, **options: Any) -> None:
        """Send the heartbeat to Redis; end `work()` if Redis is unreachable.

        RQ would wait for Redis inside its own loop, and no work would be done meanwhile.
        """
        try:
            super().heartbeat(*arguments, **options)
        except RedisConnectionError as error:
            raise StopRequested from error

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in this process, and mark the worker as busy meanwhile."""
        self.busy = True
        try:
            super().execute_job(job, queue)
        finally:
            self.busy = False

    def stop_soon(self) -> None:
        """Stop after the current job, or at once if there is none. Call from a signal handler.

        Raises:
            StopRequested: no job is running.
        """
        self._stop_requested = True
        if not self.busy:
            raise StopRequested


_WORKERS: list[HubWorker] = []


def listen_for_signals(worker: WorkerContext) -> None:
    """Install signal handlers for a graceful stop: finish the calls in flight, then end."""

    def end() -> None:
        log.info("stopping: finishing the calls in flight")
        worker.stop.set()
        if _WORKERS:
            _WORKERS[-1].stop_soon()

    when_told_to_end(end)


def run(worker: WorkerContext) -> None:
    """Run jobs until a stop is requested. Without Redis, poll the database every second.

    `faulthandler` writes the threads' positions after a crash of a native library, as far as it
    can.
    """
    faulthandler.enable()
    set_current(worker)
    gone = False
    while not worker.stop.is_set():
        try:
            _WORKERS[:] = [_worker(worker.redis_url)]
            if gone:
                log.info("Redis is back")
                gone = False
            # A stop requested while the worker connected has reached no RQ worker.
            if not worker.stop.is_set():
                _WORKERS[-1].work(logging_level="WARNING")
        except (RedisError, StopRequested):
            pass
        _WORKERS.clear()
        if not worker.stop.is_set():
            if not gone:
                log.warning("Redis is gone: working from the database alone until it is back")
            gone = True
            drain()
            worker.stop.wait(WITHOUT_REDIS_EVERY_S)


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
