"""Worker loop: RQ's `SimpleWorker`, restricted to the hub's queues and its one job.

Otherwise any client that can write to Redis could run any function here. A job's function is never
imported, a job with any argument but its queue's name is refused, and a large one is not even read
(`hub.worker.small_job`). Nor can such a client suspend, stop or end a worker by RQ's commands.
"""

import faulthandler
import logging
from collections.abc import Collection
from contextlib import suppress
from secrets import token_hex
from threading import Event, Thread
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from hub.gateways.logs import place_of
from hub.gateways.redis_queue import SYNC, connect
from hub.process.signals import SignalHandler
from hub.worker.context import WorkerContext, set_current
from hub.worker.drain import drain, sync
from hub.worker.small_job import SmallJob

WORKER_TTL_S = 30
MAINTENANCE_EVERY_S = 60
# How long a worker waits for a job until its next heartbeat. A stop ends the wait; a Redis that
# does not answer is noticed `TIMEOUT_S` after the wait began.
WAIT_S = 10
# How often a stop ends the wait: it may begin just when it is ended.
UNBLOCK_EVERY_S = 0.2
# Longer than RQ waits for an answer by itself.
TIMEOUT_S = 20.0
WITHOUT_REDIS_EVERY_S = 1.0

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """Job failure: the exception's class and position. Its message may quote a body: left out."""


class SyncJob(SmallJob):
    """Job that can only run `sync`, with one name as its argument."""

    def perform(self) -> None:
        """Run the job.

        Raises:
            PermissionError: the job is not the hub's.
            JobFailed: the job failed; RQ logs and stores this exception.
        """
        known = self.func_name == SYNC and not self.kwargs and not self.instance
        if not known or len(self.args) != 1 or not isinstance(self.args[0], str):
            raise PermissionError("a job that is not the hub's was refused")
        try:
            sync(self.args[0])
        except PermissionError:
            raise
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
    """RQ worker that stops between two jobs, once a stop is requested.

    A stop is never an exception out of a signal handler: where one is raised, it may be swallowed.
    """

    job_class = SyncJob

    def __init__(self, worker: WorkerContext, url: str, on_signal: SignalHandler) -> None:
        redis = connect(url, timeout_s=TIMEOUT_S)
        redis.ping()
        super().__init__(
            [worker.names.queue(name) for name in worker.serves],
            # A new one each time: a Redis that was away may still list the one before.
            name=f"{worker.names.queue('worker')}:{worker.holder}:{token_hex(2)}",
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
            maintenance_interval=MAINTENANCE_EVERY_S,
            log_job_description=False,
        )
        self._worker = worker
        self._on_signal = on_signal
        # The connection that waits for a job, as Redis numbers it; None if Redis does not say.
        self.client_id: int | None = None

    @property
    def dequeue_timeout(self) -> int:
        return WAIT_S

    def request_stop(self, signum: int, frame: Any) -> None:
        """Handle a stop signal: RQ installs this as the handler while it works."""
        self._on_signal(signum, frame)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Send the heartbeat to Redis: RQ does every time that it waits for a job.

        End `work()` if a stop is requested, or if Redis is unreachable: RQ would wait for Redis
        inside its own loop, and no work would be done meanwhile. Register again what a flushed
        Redis has forgotten.
        """
        if timeout is None and pipeline is None and self._worker.stop.is_set():
            raise StopRequested
        try:
            if pipeline is None and not self.connection.exists(self.key):
                self.register_birth()  # type: ignore[no-untyped-call]
            super().heartbeat(timeout, pipeline)
            if pipeline is None:
                self._note_client()
        except RedisConnectionError as error:
            raise StopRequested from error

    def check_for_suspension(self, burst: bool) -> None:
        """Do nothing: `rq suspend` speaks to all workers on a Redis, of whatever program.

        A destination is paused in the database.
        """

    def subscribe(self) -> None:
        """Subscribe to nothing: a worker takes no commands from Redis."""

    def _note_client(self) -> None:
        # Not every Redis that can be rented allows CLIENT; a stop then waits for `WAIT_S` at most.
        with suppress(ResponseError):
            self.client_id = int(self.connection.client_id())

    def teardown(self) -> None:
        """End the registration, also without Redis."""
        with suppress(RedisError):
            self.register_death()  # type: ignore[no-untyped-call]


class StopWatch:
    """Watch for a stop: says so, and ends the wait for a job that the worker may be in.

    Without it a stop would take until the wait ends by itself, up to `WAIT_S`.
    """

    def __init__(self, worker: WorkerContext) -> None:
        self._worker = worker
        self.rq_worker: HubWorker | None = None
        self.over = Event()

    def run(self) -> None:
        """Wait for the stop; then end each wait for a job, until `over` is set."""
        self._worker.stop.wait()
        log.info("stopping: finishing the calls in flight")
        while not self.over.is_set():
            if self.rq_worker is not None and self.rq_worker.client_id is not None:
                with suppress(RedisError):
                    self._worker.redis.client_unblock(self.rq_worker.client_id)
            self.over.wait(UNBLOCK_EVERY_S)


def run(worker: WorkerContext, on_signal: SignalHandler) -> None:
    """Run jobs until a stop is requested. Without Redis, poll the database every second.

    `on_signal` is the process's handler of stop signals. `faulthandler` writes the threads'
    positions after a crash of a native library, as far as it can.
    """
    faulthandler.enable()
    set_current(worker)
    stopping = StopWatch(worker)
    Thread(target=stopping.run, name="stopping", daemon=True).start()
    _wake(worker, worker.sharded)  # others may hold all of their lanes: a look asks for some
    gone = False
    while not worker.stop.is_set():
        try:
            rq_worker = HubWorker(worker, worker.redis_url, on_signal)
            if gone:
                log.info("Redis is back")
                gone = False
            stopping.rq_worker = rq_worker
            rq_worker.work(logging_level="WARNING")
        except (RedisError, StopRequested):
            pass
        if not worker.stop.is_set():
            if not gone:
                log.warning("Redis is gone: working from the database alone until it is back")
            gone = True
            with suppress(RedisError):
                worker.queues.mend(worker.serves)
            drain(worker)
            worker.start_tasks()
            worker.stop.wait(WITHOUT_REDIS_EVERY_S)
    stopping.over.set()
    _hand_over(worker)


def _hand_over(worker: WorkerContext) -> None:
    """Wake the other workers: this one may have taken a job that it did not run."""
    _wake(worker, worker.serves)


def _wake(worker: WorkerContext, names: Collection[str]) -> None:
    worker.queues.clear(names)
    with suppress(RedisError):
        worker.queues.wake(names)
