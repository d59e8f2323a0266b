"""Disk watch: how much room is left where the hub itself writes, looked at every few seconds.

These are the disk of SQLite's file and that of the embedded Redis. A PostgreSQL and a Redis of
their own are watched where they are. Requests only read what was seen last; the look itself, which
a network's disk may keep waiting, is a thread's.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import disk_usage

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hub.core.monitoring import alerts
from hub.core.monitoring.storage import DiskLevel, DiskSpace
from hub.core.ports import Store
from hub.gateways.database.sqlite import file_of

LOOK_EVERY_S = 3.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WatchedDisk:
    """Disk that a folder is on, as it was seen last. `stores`: the database is on it."""

    folder: Path
    stores: bool
    level: DiskLevel = DiskLevel.ROOM
    space: DiskSpace | None = None

    @property
    def sentence(self) -> str:
        if self.space is None or self.level is DiskLevel.ROOM:
            return ""
        return self.space.sentence(self.level, stores=self.stores)


@dataclass(slots=True)
class DiskWatch:
    """Watch of one process, shared by its threads; its own begins at the first question.

    `store` is the database of `disks`, for the pages that are free inside its file.
    """

    disks: list[WatchedDisk]
    store: Store | None = None
    _level: DiskLevel = DiskLevel.ROOM  # of the fullest one that stores
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_full(self) -> bool:
        self._begin()
        return self._level >= DiskLevel.FULL

    @property
    def is_spent(self) -> bool:
        self._begin()
        return self._level >= DiskLevel.SPENT

    @property
    def alerts(self) -> Mapping[str, Mapping[str, str]]:
        """Sentences by the kind of their alert and the folder; nothing before the first look."""
        self._begin()
        if not any(one.space for one in self.disks):
            return {}
        found: dict[str, dict[str, str]] = {alerts.DISK_FULL: {}, alerts.DISK_LOW: {}}
        for one in self.disks:
            if one.sentence:
                is_full = one.stores and one.level >= DiskLevel.FULL
                kind = alerts.DISK_FULL if is_full else alerts.DISK_LOW
                found[kind][str(one.folder)] = one.sentence
        return found

    def look(self) -> None:
        """Look at each disk; log a level that is new. A disk that cannot be read stays as it is."""
        for one in self.disks:
            space = self._space_of(one)
            if space is None:
                continue
            before, one.space = one.level, space
            one.level = space.level(before)
            if one.level > before:
                log.error("the disk of %s: %s", one.folder, one.sentence)
            elif one.level < before:
                log.warning("the disk of %s: %s", one.folder, one.sentence or "there is room again")
        levels = (one.level for one in self.disks if one.stores)
        self._level = max(levels, default=DiskLevel.ROOM)

    def _begin(self) -> None:
        """Start the thread, also in a process that was forked after the first question."""
        if not self.disks or (self._thread is not None and self._thread.is_alive()):
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="disk-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.look()
            if pause.wait(LOOK_EVERY_S):
                return

    def _space_of(self, one: WatchedDisk) -> DiskSpace | None:
        try:
            usage = disk_usage(_existing(one.folder))
        except OSError as error:
            log.debug("the disk of %s cannot be looked at: %s", one.folder, error.strerror)
            return None
        space = DiskSpace(usage.total, usage.free)
        if not one.stores or self.store is None or usage.free >= space.full_bytes * 2:
            return space
        return DiskSpace(usage.total, usage.free, _free_pages_bytes(self.store))


def watched_disks(database_url: str, var_dir: Path, *, redis_embedded: bool) -> list[WatchedDisk]:
    """Return the disks that the hub itself writes to; one for two folders on the same."""
    found = []
    if path := file_of(database_url):
        found.append(WatchedDisk(Path(path).absolute().parent, stores=True))
    if redis_embedded and not any(_device_of(one.folder) == _device_of(var_dir) for one in found):
        found.append(WatchedDisk(var_dir, stores=False))
    return found


def _existing(folder: Path) -> Path:
    """Return a folder, or the one above it in which it is yet to be made."""
    return next((one for one in (folder, *folder.parents) if one.exists()), folder)


def _device_of(folder: Path) -> int | None:
    try:
        return _existing(folder).stat().st_dev
    except OSError:
        return None


def _free_pages_bytes(store: Store) -> int:
    """Return the size of the pages in SQLite's file that hold nothing: deleting leaves them."""
    try:
        with store.read() as connection:
            pages = connection.execute(text("PRAGMA freelist_count")).scalar_one()
            return int(pages) * int(connection.execute(text("PRAGMA page_size")).scalar_one())
    except SQLAlchemyError:
        return 0
