"""Line of the writers of a SQLite file: threads in their order, processes by turns.

SQLite lets one write at a time and makes the others poll, so whoever has just written is the next
again. Here a writer waits for a lock of the operating system (`flock`) and then begins its
transaction. Between processes there are two locks, each on a file beside the database: a process
acquires *next*, waits for *writer*, and releases *next*. Nobody but the holder of *next* asks for
*writer*, so the one that has just released it cannot overtake the one that waits. The threads of a
process queue in memory.

Both locks end with the process that holds them. SQLite's own lock stays what makes writing safe:
programs that know nothing of the line (`sqlite3`) only come out of turn.
"""

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from sqlalchemy.exc import OperationalError

from hub.gateways.lock_file import LockFile

# How long a writer waits for its turn.
PATIENCE_S = 5.0
# How long it waits until it looks whether the process in front of it is suspended while it waits,
# and takes the lock past it.
OVERTAKE_AFTER_S = 1.0
# How long bulk work lets others go first, and how often it looks whether there are any.
BULK_WAITS_S, BULK_LOOKS_EVERY_S = 0.1, 0.005
NEXT, WRITER = "next-writer.lock", "writer.lock"

log = logging.getLogger(__name__)


class _Turn:
    """Turn of one transaction: it waits in the line until `has_come` is set."""

    def __init__(self) -> None:
        self.has_come = threading.Event()
        # Lock of its own, if it overtook the process in front.
        self.overtaking: LockFile | None = None


class WriteLine:
    """Line of one database file, as seen from one process.

    A fork begins with a line of its own: a lock that it inherited would not end with its holder.
    """

    def __init__(self, database_path: str) -> None:
        self._path = database_path
        self._begin()
        _LINES.add(self)

    def _begin(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Turn] = deque()
        self._current: _Turn | None = None
        self._locks: tuple[LockFile, LockFile] | None = None
        self._overtaking: set[LockFile] = set()
        # The keeper waits for the locks on behalf of the threads: `flock` has no time limit.
        self._is_fetching = self._has_next = False
        self._calls_keeper = threading.Semaphore(0)
        self._keeper: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Number of threads of this process that wait in line."""
        return len(self._waiting)

    @contextmanager
    def turn(self, *, patience_s: float = PATIENCE_S, bulk: bool = False) -> Iterator[None]:
        """Wait for the turn to write, and keep it for the block.

        `bulk`: let others go first, for up to `BULK_WAITS_S`.

        Raises:
            OperationalError: the turn did not come within `patience_s` seconds, as for a database
                that is locked for too long.
        """
        if bulk:
            self._let_others_first()
        turn = _Turn()
        try:
            self._acquire(turn, patience_s)
            yield
        finally:
            self._end(turn)

    def after_fork(self) -> None:
        """Forget the locks and threads of the parent process."""
        for lock in (*(self._locks or ()), *self._overtaking):
            lock.close()
        self._begin()

    def _acquire(self, turn: _Turn, patience_s: float) -> None:
        with self._guard:
            is_free = self._current is None and not self._is_fetching
            if is_free:
                self._current = turn
            else:
                self._waiting.append(turn)
        if is_free:
            if self._lock_at_once():
                return
            with self._guard:
                self._current = None
                self._waiting.appendleft(turn)
                self._call_keeper()
        ends_s = time.monotonic() + patience_s
        while (left_s := ends_s - time.monotonic()) > 0:
            if turn.has_come.wait(min(left_s, OVERTAKE_AFTER_S)) or self._overtake(turn):
                return
        raise OperationalError(
            "BEGIN IMMEDIATE",
            None,
            sqlite3.OperationalError("database is locked: the turn to write did not come"),
        )

    def _end(self, turn: _Turn) -> None:
        """Give up a turn, whether it has come or not, and let the next one write."""
        with self._guard:
            if turn.overtaking is not None:
                self._overtaking.discard(turn.overtaking)
                turn.overtaking.close()
            elif self._current is turn:
                if self._waiting and self._others_wait():
                    self._unlock()
                    self._call_keeper()
                else:
                    self._pass_on()
            else:
                with suppress(ValueError):
                    self._waiting.remove(turn)

    def _pass_on(self) -> None:
        """Give the lock to the thread that has waited for longest; without one release it."""
        if self._waiting:
            self._current = self._waiting.popleft()
            self._current.has_come.set()
        else:
            self._unlock()

    def _unlock(self) -> None:
        self._current = None
        if self._locks is not None:
            self._locks[1].unlock()

    def _lock_at_once(self) -> bool:
        """Lock if nobody waits or writes; return whether that was so.

        Without lock files there is no line: return True.
        """
        locks = self._open_locks()
        if locks is None:
            return True
        if not locks[0].lock_at_once():
            return False
        self._has_next = True
        if not locks[1].lock_at_once():
            return False  # the keeper goes on from here
        self._has_next = False
        locks[0].unlock()
        return True

    def _others_wait(self) -> bool:
        """Return whether another process waits to write."""
        if self._locks is None:
            return False
        if not self._locks[0].lock_at_once():
            return True
        self._locks[0].unlock()
        return False

    def _call_keeper(self) -> None:
        if self._locks is None:
            return
        if self._keeper is None:
            keeper = threading.Thread(
                target=self._keep, name="write-line", args=self._locks, daemon=True
            )
            try:
                keeper.start()
            except RuntimeError:  # no thread can be started now: writers overtake, or give up
                log.warning("the line of writers has no thread to wait for other processes")
                if self._has_next:
                    self._locks[0].unlock()
                    self._has_next = False
                return
            self._keeper = keeper
        self._is_fetching = True
        self._calls_keeper.release()

    def _keep(self, following: LockFile, writer: LockFile) -> None:
        while True:
            self._calls_keeper.acquire()
            if not self._has_next:
                following.lock()
            writer.lock()
            following.unlock()
            with self._guard:
                self._is_fetching = self._has_next = False
                self._pass_on()

    def _overtake(self, turn: _Turn) -> bool:
        """Lock past a process that is next and does not write though it could: it is suspended."""
        try:
            lock = LockFile(f"{self._path}-{WRITER}")
        except OSError:  # out of file descriptors, say: the turn may still come
            return False
        if not lock.lock_at_once():
            lock.close()
            return False
        with self._guard:
            if turn.has_come.is_set():
                lock.close()
            else:
                self._waiting.remove(turn)
                turn.overtaking = lock
                self._overtaking.add(lock)
        return True

    def _let_others_first(self) -> None:
        ends_s = time.monotonic() + BULK_WAITS_S
        while self._is_busy() and time.monotonic() < ends_s:
            time.sleep(BULK_LOOKS_EVERY_S)

    def _is_busy(self) -> bool:
        """Return whether anybody writes or waits to write."""
        with self._guard:
            if self._current is not None or self._is_fetching:
                return True
            if (locks := self._open_locks()) is None:
                return False
            if not locks[1].lock_at_once():
                return True
            locks[1].unlock()
            return self._others_wait()

    def _open_locks(self) -> tuple[LockFile, LockFile] | None:
        if self._locks is None:
            opened: list[LockFile] = []
            try:
                for name in (NEXT, WRITER):
                    opened.append(LockFile(f"{self._path}-{name}"))
            except OSError as error:
                # The folder is read-only, say, or full: writing itself will tell.
                log.warning("no line of writers beside the database: %s", error.strerror)
                for lock in opened:
                    lock.close()
                return None
            self._locks = opened[0], opened[1]
        return self._locks


_LINES: WeakSet[WriteLine] = WeakSet()


def _after_fork() -> None:
    for line in _LINES:
        line.after_fork()


os.register_at_fork(after_in_child=_after_fork)
