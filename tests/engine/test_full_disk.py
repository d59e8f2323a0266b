"""Full disks: what a worker and the clock do, and leave, while there is hardly any room."""

from shutil import copyfile
from types import SimpleNamespace

import pytest

from hub.clock import clock
from hub.core.models import Alert
from hub.core.monitoring import alerts
from hub.core.monitoring.storage import GIB
from hub.gateways import disk_watch
from hub.worker import watchdog
from hub.worker.backfill import BackfillTask
from hub.worker.context import WorkerContext
from hub.worker.drain import drain
from tests.engine.stage import Stage, keyed, once
from tests.far_end import Received, Reply
from tests.small_disk import fill, mounted

SPENT, FULL, LOW, ROOM = GIB // 4, GIB * 3 // 4, 5 * GIB, 500 * GIB


class Disk:
    """Disk of which a test says how much is free; a worker looks at it when it is told to."""

    def __init__(self) -> None:
        self.free = ROOM

    def has(self, worker: WorkerContext, free: int) -> None:
        self.free = free
        worker.hub.disk.look()

    def usage(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(total=1000 * GIB, free=self.free)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(disk_watch, "disk_usage", disk.usage)
    monkeypatch.setattr(disk_watch, "_free_pages_bytes", lambda _: 0)
    return disk


def test_with_room_for_the_ledger_alone_no_call_is_made_until_there_is_more(
    sqlite_stage, disk, far_end
) -> None:
    worker = sqlite_stage.worker_context(keyed())
    sqlite_stage.put(worker, "evt_1")
    disk.has(worker, SPENT)
    drain(worker)
    assert far_end.received == []
    assert (sqlite_stage.delivery.state, sqlite_stage.attempts) == ("pending", [])
    disk.has(worker, FULL)
    drain(worker)
    assert len(far_end.received) == 1
    assert sqlite_stage.delivery.state == "succeeded", "what was taken in is done"


def test_a_call_that_went_out_is_written_down_on_a_full_disk(sqlite_stage, disk, far_end) -> None:
    worker = sqlite_stage.worker_context(keyed())
    sqlite_stage.put(worker, "evt_1")

    def fill(_: Received) -> Reply:
        disk.has(worker, SPENT)
        return Reply(200, b"ok")

    far_end.behave = fill
    drain(worker)
    assert sqlite_stage.delivery.state == "succeeded"
    assert [one.state for one in sqlite_stage.attempts] == ["accepted"]


def test_a_call_that_is_out_while_the_last_byte_goes_is_never_made_twice(
    tmp_path, sqlite_url, redis_url, far_end, monkeypatch
) -> None:
    """The watch is blind here. Nobody can write down what became of it: it is unknown."""
    monkeypatch.setattr(watchdog, "RESCUE_S", 0.5)
    with mounted(tmp_path / "small") as small:
        copyfile(sqlite_url.removeprefix("sqlite:///"), small / "hub.db")
        stage = Stage(tmp_path, f"sqlite:///{small}/hub.db", redis_url, far_end)
        worker = stage.worker_context(once())
        worker.hub.disk.disks.clear()
        stage.put(worker, "evt_1")

        def answer(_: Received) -> Reply:
            fill(small)
            return Reply(200, b"ok")

        far_end.behave = answer
        drain(worker)
        assert stage.delivery.state == "running"
        (small / "filler").unlink()
        stage.end_leases()
        drain(worker)
        assert stage.delivery.state == "unknown"
        assert len(far_end.received) == 1
        stage.close()


def test_a_providers_list_waits_for_room_as_its_webhooks_do() -> None:
    class Full:
        disk = SimpleNamespace(is_full=True)

    BackfillTask(Full()).run_once()  # it would ask for the configuration


def test_the_clock_tells_of_the_disk_and_takes_it_back(sqlite_stage, disk, redis_server) -> None:
    worker = sqlite_stage.worker_context(keyed())

    def tick() -> list[tuple[str, str]]:
        with redis_server.client() as redis:
            assert clock.tick(worker.hub, redis, worker.queues) == set()
        rows = sqlite_stage.rows(Alert)
        assert {one.subject for one in rows} <= {str(sqlite_stage.folder)}
        return [(one.kind, one.message) for one in rows if one.ended_at is None]

    disk.has(worker, ROOM)
    assert tick() == []
    disk.has(worker, LOW)
    [(kind, message)] = tick()
    assert kind == alerts.DISK_LOW
    assert "5.0 GiB of 1000.0 GiB are free" in message
    disk.has(worker, FULL)
    assert [kind for kind, _ in tick()] == [alerts.DISK_FULL]
    disk.has(worker, ROOM)
    assert tick() == []
