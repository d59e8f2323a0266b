"""RQ worker: the hub's own jobs run, jobs of intruders in Redis are refused."""

import json
import signal
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from hub.gateways.redis_queue import DRAIN, QUEUE, connect, enqueue_drain, queue
from hub.worker import drain as drains
from hub.worker import rq_worker as workers
from hub.worker.context import set_current
from hub.worker.rq_worker import HubWorker, JobFailed, ListedJob
from tests.engine.stage import Stage, keyed
from tests.far_end import FarEnd, Reply

MARK = "mark"


@pytest.fixture
def redis(redis_url):
    with connect(redis_url, timeout_s=20) as client:
        yield client


@pytest.fixture
def drained(monkeypatch) -> list[str]:
    """Replace the drain by a recorder of its runs."""
    drained: list[str] = []
    monkeypatch.setattr(workers, "JOBS", {DRAIN: lambda: drained.append("drained")})
    return drained


def work(redis) -> None:
    worker = HubWorker(
        [QUEUE], connection=redis, serializer=JSONSerializer, log_job_description=False
    )
    worker.work(burst=True, logging_level="ERROR")


def put(redis, function: str, *arguments: object, instance: object = None, **named: object) -> str:
    """Write a job into Redis as an intruder would, bypassing RQ's checks."""
    job = Job.create(DRAIN, connection=redis, serializer=JSONSerializer, origin=QUEUE)
    data = json.dumps([function, instance, list(arguments), named]).encode()
    fields = {"data": zlib.compress(data), "status": "queued", "timeout": 5, "result_ttl": 60}
    redis.hset(job.key, mapping=job.to_dict() | fields)
    redis.sadd("rq:queues", f"rq:queue:{QUEUE}")
    redis.rpush(f"rq:queue:{QUEUE}", job.id)
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


@pytest.fixture
def mark(tmp_path) -> Path:
    """Return the path of a file that exists only if forbidden code has run."""
    return tmp_path / MARK


def test_a_job_that_calls_the_shell_is_refused(redis, mark, drained) -> None:
    job_id = put(redis, "os.system", f"touch {mark}")
    work(redis)
    assert was_refused(redis, job_id)
    assert not mark.exists()


@pytest.mark.parametrize(
    "function", ["os.getpid", "builtins.eval", "hub.worker.drain.Drain", "drain", "", f"{DRAIN} "]
)
def test_a_job_that_is_not_listed_is_refused_even_without_arguments(
    redis, drained, function
) -> None:
    job_id = put(redis, function)
    work(redis)
    assert was_refused(redis, job_id)
    assert drained == []


def test_a_drain_that_brings_arguments_is_refused(redis, drained) -> None:
    jobs = [put(redis, DRAIN, 1), put(redis, DRAIN, name=1), put(redis, "perform", instance="x")]
    work(redis)
    assert all(was_refused(redis, job_id) for job_id in jobs)
    assert drained == []


def test_a_job_that_cannot_be_read_does_not_stop_the_next(redis, drained) -> None:
    for data in (b"\x80\x04nonsense", zlib.compress(b"{}"), zlib.compress(b"[1,2]"), b""):
        redis.hset(f"rq:job:{put(redis, DRAIN)}", "data", data)
    put(redis, DRAIN)
    work(redis)
    assert drained == ["drained"]


def test_a_pickle_is_never_opened(redis, mark, drained) -> None:
    bomb = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    for data in (bomb, zlib.compress(bomb)):
        redis.hset(f"rq:job:{put(redis, DRAIN)}", "data", data)
    work(redis)
    assert not mark.exists()


@pytest.mark.parametrize("function", [DRAIN, "os.getpid"], ids=["succeeds", "fails"])
def test_callbacks_that_a_job_brings_are_never_run(redis, mark, drained, function) -> None:
    job_id = put(redis, function)
    callbacks = {
        f"{when}_callback_{what}": value
        for when in ("success", "failure", "stopped")
        for what, value in {"name": "tests.worker.test_rq_worker.spring", "timeout": "5"}.items()
    }
    redis.hset(f"rq:job:{job_id}", mapping=callbacks | {"meta": json.dumps({"mark": str(mark)})})
    work(redis)
    assert not mark.exists()
    assert drained == (["drained"] if function == DRAIN else [])


def spring(job, *_: object) -> None:
    """Create the mark, as a callback that must not run."""
    Path(job.meta["mark"]).touch()


def test_the_callback_would_leave_a_mark_if_it_ran(redis, mark) -> None:
    job = Job.create(DRAIN, connection=redis, serializer=JSONSerializer, meta={"mark": str(mark)})
    spring(job)
    assert mark.exists()


def test_what_a_failed_job_said_is_not_kept(redis, monkeypatch) -> None:
    def fail() -> None:
        raise ValueError("jane@example.com")

    monkeypatch.setattr(workers, "JOBS", {DRAIN: fail})
    job_id = put(redis, DRAIN)
    work(redis)
    said = said_by(fetched(redis, job_id))
    assert "JobFailed: ValueError at test_rq_worker.fail:" in said
    assert "jane@example.com" not in said


def test_a_listed_job_that_fails_says_where_and_not_what(monkeypatch, redis) -> None:
    monkeypatch.setattr(workers, "JOBS", {DRAIN: lambda: 1 / 0})
    job = ListedJob.create(DRAIN, connection=redis, serializer=JSONSerializer)
    with pytest.raises(JobFailed, match=r"^ZeroDivisionError at test_rq_worker\.<lambda>:\d+ < "):
        job.perform()


def test_a_wake_up_is_worked_off_and_leaves_nothing_behind(redis, drained) -> None:
    enqueue_drain(redis)
    [job_id] = queue(redis).job_ids
    work(redis)
    assert drained == ["drained"]
    assert not redis.exists(f"rq:job:{job_id}")
    assert FailedJobRegistry(QUEUE, connection=redis).count == 0


def test_a_drain_job_makes_the_deliveries_that_are_due(
    redis, tmp_path, sqlite_url, redis_url, monkeypatch
) -> None:
    monkeypatch.setattr(drains, "LINGER_S", 0.05)
    with FarEnd(lambda _: Reply(200, b"ok")) as far_end:
        stage = Stage(tmp_path, sqlite_url, redis_url, far_end)
        worker = stage.worker_context(keyed())
        set_current(worker)
        stage.put(worker, f"evt_{datetime.now(UTC):%f}")
        enqueue_drain(redis)
        work(redis)
        assert stage.delivery.state == "succeeded"
        assert len(far_end.received) == 1
        stage.close()


def test_a_signal_while_the_worker_connects_to_redis_is_not_lost(
    tmp_path, sqlite_url, redis_url, handlers, monkeypatch
) -> None:
    connects = workers._worker

    def ends_meanwhile(url: str) -> HubWorker:
        worker = connects(url)
        signal.raise_signal(signal.SIGHUP)
        return worker

    def works(*_: object, **__: object) -> None:
        pytest.fail("a worker that was told to end waits for work")

    monkeypatch.setattr(workers, "_worker", ends_meanwhile)
    monkeypatch.setattr(HubWorker, "work", works)
    with FarEnd() as far_end:
        stage = Stage(tmp_path, sqlite_url, redis_url, far_end)
        worker = stage.worker_context(keyed())
        workers.listen_for_signals(worker)
        workers.run(worker)
        assert worker.stop.is_set()
        stage.close()
