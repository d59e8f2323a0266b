"""Disk watch: which disks, and what it does where one cannot be looked at."""

from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import text

from hub.core.monitoring.storage import GIB, DiskLevel
from hub.gateways import disk_watch
from hub.gateways.database.engine import open_database
from hub.gateways.disk_watch import DiskWatch, WatchedDisk, watched_disks

POSTGRESQL = "postgresql+psycopg://hub@db/hub"


def test_only_disks_that_the_hub_itself_writes_to_are_watched(tmp_path: Path) -> None:
    url, var = f"sqlite:///{tmp_path}/data/hub.db", tmp_path / "var"
    assert watched_disks(POSTGRESQL, var, redis_embedded=False) == []
    [redis] = watched_disks(POSTGRESQL, var, redis_embedded=True)
    assert (redis.folder, redis.stores) == (var, False)
    [both] = watched_disks(url, var, redis_embedded=True)
    assert (both.folder, both.stores) == (tmp_path / "data", True)


def test_a_folder_that_is_yet_to_be_made_is_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    watch = DiskWatch([WatchedDisk(tmp_path / "not" / "yet", stores=True)])
    watch.look()
    assert watch.disks[0].space is not None


def test_a_disk_that_cannot_be_looked_at_stays_as_it_was_seen_last(tmp_path, monkeypatch) -> None:
    watch = DiskWatch([WatchedDisk(tmp_path, stores=True)])
    monkeypatch.setattr(disk_watch, "LOOK_EVERY_S", 3600.0)
    answers = iter([SimpleNamespace(total=100 * GIB, free=0), OSError("stale")])

    def usage(_: Path) -> SimpleNamespace:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(disk_watch, "disk_usage", usage)
    watch.look()
    watch.look()
    assert watch.disks[0].level is DiskLevel.SPENT


def test_what_was_deleted_inside_the_database_is_room(tmp_path, monkeypatch) -> None:
    database = open_database(f"sqlite:///{tmp_path}/hub.db", pool_size=1)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE big (x BLOB)"))
        connection.execute(text("INSERT INTO big VALUES (zeroblob(8000000))"))
    monkeypatch.setattr(
        disk_watch, "disk_usage", lambda _: SimpleNamespace(total=100_000_000, free=1_500_000)
    )
    watch = DiskWatch([WatchedDisk(tmp_path, stores=True)], database)
    watch.look()
    assert watch.disks[0].level is DiskLevel.FULL
    with database.write() as connection:
        connection.execute(text("DROP TABLE big"))
    watch.look()
    assert watch.disks[0].level is DiskLevel.LOW
    assert watch.disks[0].space.reusable_bytes > 7_000_000
    database.engine.dispose()
