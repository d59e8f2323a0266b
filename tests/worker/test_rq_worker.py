"""RQ worker: the hub's own jobs run, jobs of intruders in Redis are refused, signals count."""

import json
import logging
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq import Worker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from hub.core.ports import EVENTS
from hub.gateways.redis_queue import SYNC
from hub.process.signals import when_told_to_end
from hub.worker import drain as drains
from hub.worker import rq_worker as workers
from hub.worker.context import WorkerContext, set_current
from hub.worker.rq_worker import HubWorker, JobFailed, SyncJob
from tests.engine.stage import Stage, keyed
from tests.running import until
from tests.stores import RedisServer

MARK = "mark"
TWO = """
destinations:
  ops: {adapter: http, url: "${FAR_END}/ops", secret: "${OPS_SECRET}"}
  crm: {adapter: http, url: "${FAR_END}/crm", secret: "${OPS_SECRET}"}
routes:
  to-ops: {on: payment.succeeded, do: ops.post, with: {body: {event: "{{ event.external_id }}"}}}
  to-crm: {on: payment.succeeded, do: crm.post, with: {body: {event: "{{ event.external_id }}"}}}
"""


def work(worker: WorkerContext) -> None:
    rq_worker = HubWorker(worker, worker.redis_url, lambda *_: None)
    rq_worker.work(burst=True, logging_level="ERROR")


def put(
    worker: WorkerContext, function: str, *arguments: object, instance: object = None,
    **named: object,
) -> str:  # fmt: skip
    """Write a job into Redis as an intruder would, bypassing RQ's checks."""
    redis, queue = worker.redis, worker.queues.queue("ops")
    job = Job.create(SYNC, connection=redis, serializer=JSONSerializer, origin=queue.name)
    data = json.dumps([function, instance, list(arguments), named]).encode()
    fields = {"data": zlib.compress(data), "status": "queued", "timeout": 5, "result_ttl": 60}
    redis.hset(job.key, mapping=job.to_dict() | fields)
    redis.sadd("rq:queues", queue.key)
    redis.rpush(queue.key, job.id)
    return job.id


def fetched(redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=redis, serializer=JSONSerializer)


def was_refused(redis, job_id: str) -> bool:
    job = fetched(redis, job_id)
    return job.get_status() is JobStatus.FAILED and "PermissionError" in said_by(job)


def said_by(job: Job) -> str:
    result = job.latest_result()
    return str(result and result.exc_string)


@pytest.fixture
def handlers():
    """Restore the signal handlers of the test process; a HUP is not ignored, also under nohup."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def worker_in_a_thread() -> Iterator[None]:
    """Let RQ's worker run beside the main thread, which alone may handle signals and alarms."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HubWorker, "_install_signal_handlers", lambda _: None)
        patched.setattr(HubWorker, "death_penalty_class", TimerDeathPenalty)
        yield


@pytest.fixture
def mark(tmp_path) -> Path:
    """Return the path of a file that exists only if forbidden code has run."""
    return tmp_path / MARK


def test_a_job_that_calls_the_shell_is_refused(redis, worker, mark, drained) -> None:
    job_id = put(worker, "os.system", f"touch {mark}")
    work(worker)
    assert was_refused(redis, job_id)
    assert not mark.exists()


@pytest.mark.parametrize(
    "function", ["os.getpid", "builtins.eval", "hub.worker.drain.Drain", "sync", "", f"{SYNC} "]
)
@pytest.mark.parametrize("arguments", [[], ["ops"]], ids=["bare", "with a name"])
def test_a_job_that_is_not_the_hubs_is_refused(redis, worker, drained, function, arguments) -> None:
    job_id = put(worker, function, *arguments)
    work(worker)
    assert was_refused(redis, job_id)
    assert drained == []


def test_a_job_with_other_arguments_is_refused(redis, worker, drained) -> None:
    jobs = [
        put(worker, SYNC),
        put(worker, SYNC, "ops", 1),
        put(worker, SYNC, 1),
        put(worker, SYNC, ["ops"]),
        put(worker, SYNC, "ops", name=1),
        put(worker, SYNC, name="ops"),
        put(worker, "perform", "ops", instance="x"),
    ]
    work(worker)
    assert all(was_refused(redis, job_id) for job_id in jobs)
    assert drained == []


def test_a_job_for_a_destination_that_this_worker_does_not_serve_is_refused(redis, worker) -> None:
    job_id = put(worker, SYNC, "elsewhere")
    work(worker)
    assert was_refused(redis, job_id)


def test_a_job_that_cannot_be_read_does_not_stop_the_next(redis, worker, drained) -> None:
    for data in (b"\x80\x04nonsense", zlib.compress(b"{}"), zlib.compress(b"[1,2]"), b""):
        redis.hset(f"rq:job:{put(worker, SYNC, 'ops')}", "data", data)
    put(worker, SYNC, "ops")
    work(worker)
    assert drained == ["ops"]


def test_a_pickle_is_never_opened(redis, worker, mark, drained) -> None:
    bomb = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    for data in (bomb, zlib.compress(bomb)):
        redis.hset(f"rq:job:{put(worker, SYNC, 'ops')}", "data", data)
    work(worker)
    assert not mark.exists()


@pytest.mark.parametrize("function", [SYNC, "os.getpid"], ids=["succeeds", "fails"])
def test_callbacks_that_a_job_brings_are_never_run(redis, worker, mark, drained, function) -> None:
    job_id = put(worker, function, "ops")
    callbacks = {
        f"{when}_callback_{what}": value
        for when in ("success", "failure", "stopped")
        for what, value in {"name": "tests.worker.test_rq_worker.spring", "timeout": "5"}.items()
    }
    redis.hset(f"rq:job:{job_id}", mapping=callbacks | {"meta": json.dumps({"mark": str(mark)})})
    work(worker)
    assert not mark.exists()
    assert drained == (["ops"] if function == SYNC else [])


def spring(job, *_: object) -> None:
    """Create the mark, as a callback that must not run."""
    Path(job.meta["mark"]).touch()


def test_the_callback_would_leave_a_mark_if_it_ran(redis, mark) -> None:
    job = Job.create(SYNC, connection=redis, serializer=JSONSerializer, meta={"mark": str(mark)})
    spring(job)
    assert mark.exists()


def test_what_a_failed_job_said_is_not_kept(redis, worker, monkeypatch) -> None:
    def fail(name: str) -> None:
        raise ValueError("jane@example.com")

    monkeypatch.setattr(workers, "sync", fail)
    job_id = put(worker, SYNC, "ops")
    work(worker)
    said = said_by(fetched(redis, job_id))
    assert "JobFailed: ValueError at test_rq_worker.fail:" in said
    assert "jane@example.com" not in said


def test_a_job_that_fails_says_where_and_not_what(monkeypatch, redis) -> None:
    monkeypatch.setattr(workers, "sync", lambda _: 1 / 0)
    job = SyncJob.create(SYNC, args=["ops"], connection=redis, serializer=JSONSerializer)
    with pytest.raises(JobFailed, match=r"^ZeroDivisionError at test_rq_worker\.<lambda>:\d+ < "):
        job.perform()


def test_a_wake_up_is_worked_off_and_leaves_nothing_behind(redis, worker, drained) -> None:
    worker.queues.wake(["ops", EVENTS])
    ids = [job_id for name in ("ops", EVENTS) for job_id in worker.queues.queue(name).job_ids]
    work(worker)
    assert drained == ["ops", EVENTS]
    assert not any(redis.exists(f"rq:job:{job_id}") for job_id in ids)
    assert FailedJobRegistry(queue=worker.queues.queue("ops")).count == 0


def test_a_job_makes_the_deliveries_that_are_due(stage, worker, far_end) -> None:
    stage.put(worker, f"evt_{datetime.now(UTC):%f}")
    worker.queues.wake(["ops"])
    work(worker)
    assert stage.delivery.state == "succeeded"
    assert len(far_end.received) == 1


def test_a_job_of_one_destination_serves_the_others_too(stage, far_end) -> None:
    worker = stage.worker_context(TWO)
    set_current(worker)
    stage.put(worker, "evt_1")
    worker.queues.wake(["crm"])
    work(worker)
    assert [row.state for row in stage.deliveries] == ["succeeded", "succeeded"]


def test_a_worker_of_named_destinations_serves_these_alone(stage, far_end) -> None:
    worker = stage.worker_context(TWO, "crm")
    set_current(worker)
    stage.put(worker, "evt_1")
    worker.queues.wake(["crm", "ops", EVENTS])
    work(worker)
    states = {row.destination: row.state for row in stage.deliveries}
    assert states == {"crm": "succeeded", "ops": "pending"}
    assert [one.path for one in far_end.received] == ["/crm"]
    assert {name: worker.queues.queue(name).count for name in ("crm", "ops", EVENTS)} == {
        "crm": 0, "ops": 1, EVENTS: 1,
    }  # fmt: skip


def test_a_job_whose_lane_another_worker_holds_returns_and_leaves_the_wake_up(stage) -> None:
    holder, worker = stage.worker_context(keyed()), stage.worker_context(keyed())
    stage.put(holder, "evt_1")
    drains.Drain(holder)._tick(look=True)
    set_current(worker)
    worker.queues.wake(["ops"])
    work(worker)
    assert worker.queues.wake(["ops"]) == []
    assert stage.lane.holder == holder.holder


def test_a_worker_is_listed_under_the_queues_that_it_serves(redis, stage, worker) -> None:
    rq_worker = HubWorker(worker, worker.redis_url, lambda *_: None)
    rq_worker.register_birth()
    [listed] = Worker.all_keys(queue=worker.queues.queue("ops"))
    assert listed == Worker.all_keys(queue=worker.queues.queue(EVENTS))[0] == rq_worker.key
    redis.flushall()
    rq_worker.heartbeat()
    assert Worker.all_keys(queue=worker.queues.queue("ops")) == [rq_worker.key]
    rq_worker.register_death()


def test_a_worker_outlives_a_redis_that_kept_its_data(
    tmp_path, sqlite_url, store_folder, far_end, caplog
) -> None:
    """The Redis still lists the worker, as one that lives."""
    caplog.set_level(logging.INFO)
    server = RedisServer(store_folder, durable=True)
    server.start()
    stage = Stage(tmp_path, sqlite_url, server.url, far_end)
    worker = stage.worker_context(keyed())
    running = threading.Thread(target=workers.run, args=[worker, lambda *_: None])
    with worker_in_a_thread():
        running.start()
        until(lambda: worker.queues.served(["ops"]), 10, "the worker")
        server.kill()
        until(lambda: "Redis is gone" in caplog.text, 20, "it to be noticed")
        server.start()
        until(lambda: "Redis is back" in caplog.text, 20, "the worker to go on")
        stage.put(worker, "evt_1")
        worker.queues.wake(["ops"])
        until(lambda: stage.delivery.state == "succeeded", 20, "the delivery")
        worker.stop.set()
        running.join(30)
    assert not running.is_alive()
    assert not [one.name for one in threading.enumerate() if "PubSub" in type(one).__name__]
    stage.close()
    server.stop()


@pytest.fixture
def resting(stage) -> tuple[WorkerContext, WorkerContext]:
    """Return the worker for which a lane with due work rests, and another one that is woken."""
    holder, worker = (stage.worker_context(keyed("rate: 100/1m")) for _ in range(2))
    stage.put(holder, "evt_1")
    stage.drain(holder)
    stage.put(holder, "evt_2")
    set_current(worker)
    worker.queues.wake(["ops"])
    return holder, worker


def test_a_job_goes_to_the_worker_whose_rate_the_lane_waits_for(stage, resting) -> None:
    """The holder has released the lane, runs no drain, and is the only one that may call."""
    holder, worker = resting
    [before] = worker.queues.queue("ops").job_ids
    rq_worker = HubWorker(worker, worker.redis_url, lambda *_: None)
    rq_worker.work(max_jobs=1, logging_level="ERROR")
    [after] = worker.queues.queue("ops").job_ids
    assert before != after
    set_current(holder)
    work(holder)
    assert [row.state for row in stage.deliveries] == ["succeeded", "succeeded"]


def test_a_job_of_a_lane_that_rests_is_passed_on_once_a_second_at_most(resting) -> None:
    """Its holder may be gone."""
    _, worker = resting
    work(worker)  # takes what it has passed on too
    assert worker.queues.queue("ops").count == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_that_waits_for_work_stops_on_a_signal(worker, handlers, number) -> None:
    on_signal = when_told_to_end(worker.stop.set)
    signals = threading.Timer(0.5, signal.raise_signal, [number])
    signals.start()
    workers.run(worker, on_signal)
    assert worker.stop.is_set()


def test_a_stop_ends_a_wait_that_would_last_for_an_hour(worker, redis, monkeypatch) -> None:
    monkeypatch.setattr(workers, "WAIT_S", 3600)
    running = threading.Thread(target=workers.run, args=[worker, lambda *_: None])
    with worker_in_a_thread():
        running.start()
        until(lambda: "blpop" in {one["cmd"] for one in redis.client_list()}, 10, "the wait")
        worker.stop.set()
        running.join(30)
    assert not running.is_alive()


def test_a_worker_works_on_a_redis_that_does_not_number_its_clients(
    worker, drained, monkeypatch
) -> None:
    def refuse(_: object) -> int:
        raise ResponseError("unknown command 'CLIENT'")

    monkeypatch.setattr(Redis, "client_id", refuse)
    worker.queues.wake(["ops"])
    work(worker)
    assert drained == ["ops"]


def test_a_signal_while_a_log_line_is_written_is_not_lost(worker, handlers, capfd) -> None:
    """The handler runs inside the log's own lock and the stream's write."""

    class Interrupted(logging.StreamHandler):
        def emit(self, record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGTERM)
            super().emit(record)

    log = logging.getLogger("hub.test-of-signals")
    log.propagate = False
    log.addHandler(interrupted := Interrupted())
    on_signal = when_told_to_end(worker.stop.set)
    log.error("a line")
    assert worker.stop.wait(5)
    workers.run(worker, on_signal)
    log.removeHandler(interrupted)


def test_a_signal_in_a_wait_for_the_stop_itself_does_not_block(handlers) -> None:
    """The handler runs where the main thread holds the lock of the very event that it sets."""
    stop = threading.Event()
    when_told_to_end(stop.set)
    with stop._cond:
        signal.raise_signal(signal.SIGTERM)
    assert stop.wait(5)


def test_a_signal_while_the_worker_connects_to_redis_is_not_lost(
    worker, handlers, monkeypatch
) -> None:
    connects = workers.connect

    def ends_meanwhile(*arguments: object, **options: object) -> object:
        signal.raise_signal(signal.SIGHUP)
        assert worker.stop.wait(5)
        return connects(*arguments, **options)

    monkeypatch.setattr(workers, "connect", ends_meanwhile)
    workers.run(worker, when_told_to_end(worker.stop.set))


def test_a_worker_that_stops_passes_on_a_job_that_it_took_and_did_not_run(
    worker, handlers, monkeypatch
) -> None:
    """RQ has taken the job off the queue when the stop is noticed."""
    on_signal = when_told_to_end(worker.stop.set)
    takes = HubWorker.reorder_queues

    def stops(rq_worker: HubWorker, **options: object) -> None:
        worker.stop.set()
        takes(rq_worker, **options)

    monkeypatch.setattr(HubWorker, "reorder_queues", stops)
    worker.queues.wake(["ops"])
    workers.run(worker, on_signal)
    assert worker.queues.queue("ops").count == 1
