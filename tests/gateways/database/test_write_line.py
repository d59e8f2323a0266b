"""Line of SQLite's writers: order of threads, turns of processes, death and suspension."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EMFILE
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from hub.core.database_errors import DatabaseErrorKind, classify
from hub.gateways.database import write_line
from hub.gateways.database.write_line import NEXT, WRITER, WriteLine
from tests.forks import holds_in_a_fork
from tests.running import ROOT, until

# A process that writes whenever it is told, and again at once after the turn in which it waited.
OTHER = """
import sys
from hub.gateways.database.write_line import WriteLine
line = WriteLine(sys.argv[1])
def note(what):
    with open(sys.argv[1], "a") as file:
        file.write(what + "\\n")
for _ in sys.stdin:
    with line.turn(patience_s=30):
        note("theirs")
        print("writes", flush=True)
        sys.stdin.readline()
    with line.turn(patience_s=30):
        note("theirs again")
        print("writes", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "hub.db"
    path.touch()
    return str(path)


class Other:
    """Process that writes to the same database when it is told to."""

    def __init__(self, database: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, database],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        """Let it ask for its turn, or end the one that it has."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def has_begun(self) -> None:
        """Wait until it has its turn."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "writes\n"

    def suspend(self) -> None:
        """Suspend it, and return once it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    process = Other(database)
    yield process
    process.end()


def noted(database: str) -> list[str]:
    return Path(database).read_text().splitlines()


def note(database: str, what: str) -> None:
    with Path(database).open("a") as file:
        file.write(f"{what}\n")


@contextmanager
def writer(line: WriteLine, database: str, name: str, *, bulk: bool = False) -> Iterator[None]:
    """Start a thread that writes its name in its turn; wait for its end."""

    def write() -> None:
        with line.turn(patience_s=30, bulk=bulk):
            note(database, name)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def is_locked(database: str, name: str) -> bool:
    with Path(f"{database}-{name}").open() as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return True
    return False


def waits(line: WriteLine, count: int) -> bool:
    """Return whether so many threads of this process wait for their turn."""
    return line.waiting == count


def is_next(database: str) -> bool:
    """Return whether a process waits for the one that writes."""
    return is_locked(database, NEXT)


def test_threads_write_in_the_order_in_which_they_came(database) -> None:
    line = WriteLine(database)
    names = ["0", "1", "2", "3", "4"]
    with ExitStack() as threads, line.turn():
        for name in names:
            threads.enter_context(writer(line, database, name))
            until(partial(waits, line, int(name) + 1), 30, "the thread to wait")
    assert noted(database) == names


def test_who_has_just_written_does_not_overtake_a_thread_that_waits(database) -> None:
    line = WriteLine(database)
    with ExitStack() as first:
        first.enter_context(line.turn())
        with writer(line, database, "waited"):
            until(partial(waits, line, 1), 30, "the thread to wait")
            first.close()
            with line.turn(patience_s=30):
                note(database, "again")
    assert noted(database) == ["waited", "again"]


def test_a_process_that_has_just_written_does_not_overtake_another(database, other) -> None:
    line = WriteLine(database)
    other.go()
    other.has_begun()
    with writer(line, database, "ours"):
        until(partial(is_next, database), 30, "us to be next")
        other.go()  # ends its turn, and asks for the next at once
        other.has_begun()
        other.go()
    assert noted(database) == ["theirs", "ours", "theirs again"]


def test_our_own_threads_do_not_overtake_a_process_that_waits(database, other) -> None:
    line = WriteLine(database)
    with ExitStack() as first:
        first.enter_context(line.turn())
        other.go()
        until(partial(is_next, database), 30, "the other process to be next")
        with writer(line, database, "ours"):
            until(partial(waits, line, 1), 30, "the thread to wait")
            first.close()
            other.has_begun()
            other.go()
            other.has_begun()
            other.go()
    assert noted(database)[0] == "theirs"
    assert sorted(noted(database)) == ["ours", "theirs", "theirs again"]


def test_a_writer_that_is_killed_keeps_nobody_waiting(database, other) -> None:
    line = WriteLine(database)
    other.go()
    other.has_begun()
    with writer(line, database, "ours"):
        until(partial(is_next, database), 30, "us to be next")
        other.process.send_signal(signal.SIGKILL)
    assert noted(database) == ["theirs", "ours"]


def test_a_writer_that_is_suspended_is_not_waited_for_without_end(database, other) -> None:
    line = WriteLine(database)
    other.go()
    other.has_begun()
    other.suspend()
    for _ in range(2):
        with pytest.raises(OperationalError) as caught, line.turn(patience_s=0.05):
            note(database, "out of turn")
        assert classify(caught.value) is DatabaseErrorKind.RETRYABLE
    assert line.waiting == 0
    other.process.send_signal(signal.SIGCONT)
    other.go()
    other.has_begun()
    other.go()
    with line.turn(patience_s=30):
        note(database, "ours")
    assert noted(database) == ["theirs", "theirs again", "ours"]


def test_a_process_that_is_suspended_while_it_waits_is_passed_by(
    database, other, monkeypatch
) -> None:
    monkeypatch.setattr(write_line, "OVERTAKE_AFTER_S", 0.05)
    line = WriteLine(database)
    with line.turn():
        other.go()
        until(partial(is_next, database), 30, "the other process to be next")
        other.suspend()
    for _ in range(2):
        with line.turn(patience_s=30):
            note(database, "ours")
    other.process.send_signal(signal.SIGCONT)
    other.has_begun()
    other.go()
    assert noted(database)[:3] == ["ours", "ours", "theirs"]


def test_who_gave_up_waiting_is_in_nobodys_way(database) -> None:
    line = WriteLine(database)
    with ExitStack() as first:
        first.enter_context(line.turn())
        with pytest.raises(OperationalError), line.turn(patience_s=0.05):
            note(database, "out of turn")
        with writer(line, database, "waited"):
            until(partial(waits, line, 1), 30, "the thread to wait")
            first.close()
    assert noted(database) == ["waited"]


def test_bulk_work_lets_others_go_first(database, monkeypatch) -> None:
    monkeypatch.setattr(write_line, "BULK_WAITS_S", 30)
    line = WriteLine(database)
    with ExitStack() as first:
        first.enter_context(line.turn())
        with writer(line, database, "bulk", bulk=True), writer(line, database, "webhook"):
            until(partial(waits, line, 1), 30, "the webhook to wait")
            first.close()
    assert noted(database) == ["webhook", "bulk"]


def test_bulk_work_does_not_let_others_first_for_ever(database, monkeypatch) -> None:
    monkeypatch.setattr(write_line, "BULK_WAITS_S", 0)
    line = WriteLine(database)
    with ExitStack() as first:
        first.enter_context(line.turn())
        with writer(line, database, "bulk", bulk=True):
            until(partial(waits, line, 1), 30, "bulk work to wait")
            with writer(line, database, "webhook"):
                until(partial(waits, line, 2), 30, "the webhook to wait")
                first.close()
    assert noted(database) == ["bulk", "webhook"]


def test_a_fork_has_a_line_of_its_own(database) -> None:
    line = WriteLine(database)

    def is_shut_out() -> bool:
        with suppress(OperationalError), line.turn(patience_s=0.05):
            return False
        return True

    with line.turn():
        assert holds_in_a_fork(is_shut_out)
    assert not holds_in_a_fork(is_shut_out)


def test_a_lock_ends_with_its_holder_though_a_fork_goes_on(database) -> None:
    line = WriteLine(database)
    told, tells = os.pipe()

    def hold_and_die() -> None:
        with line.turn():
            if child := os.fork():
                os.write(tells, str(child).encode())
                os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    assert not holds_in_a_fork(hold_and_die)
    child = int(os.read(told, 20))
    try:
        assert not is_locked(database, WRITER)
    finally:
        os.kill(child, signal.SIGKILL)


def test_without_a_place_for_its_locks_there_is_no_line(tmp_path, caplog) -> None:
    line = WriteLine(f"{tmp_path}/missing/hub.db")
    with line.turn():
        pass
    with line.turn():
        pass
    assert "no line of writers" in caplog.text


def test_a_line_that_gets_no_thread_once_waits_again_as_soon_as_it_gets_one(
    database, other, monkeypatch, caplog
) -> None:
    line = WriteLine(database)
    other.go()
    other.has_begun()

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short_of_threads:
        short_of_threads.setattr(threading.Thread, "start", fail)
        with pytest.raises(OperationalError), line.turn(patience_s=0.05):
            note(database, "out of turn")
    assert "no thread to wait for other processes" in caplog.text
    assert not is_next(database)
    with writer(line, database, "ours"):
        until(partial(is_next, database), 30, "us to be next")
        other.go()
        other.has_begun()
        other.go()
    assert noted(database) == ["theirs", "ours", "theirs again"]


def test_a_turn_that_cannot_be_overtaken_still_comes(database, monkeypatch) -> None:
    monkeypatch.setattr(write_line, "OVERTAKE_AFTER_S", 0.01)
    line, asked = WriteLine(database), threading.Event()
    with ExitStack() as first:
        first.enter_context(line.turn())

        def fail(_: str) -> None:
            asked.set()
            raise OSError(EMFILE, "too many open files")

        monkeypatch.setattr(write_line, "LockFile", fail)
        with writer(line, database, "waited"):
            assert asked.wait(30)
            first.close()
    assert noted(database) == ["waited"]


def test_a_fork_holds_no_lock_of_a_turn_that_overtook(database, monkeypatch) -> None:
    monkeypatch.setattr(write_line, "OVERTAKE_AFTER_S", 0.01)
    line = WriteLine(database)
    with line.turn():
        pass
    with Path(f"{database}-{NEXT}").open() as held:
        flock(held, LOCK_EX)
        with ExitStack() as turn:
            turn.enter_context(line.turn())
            child = os.fork()
            if not child:
                signal.pause()
            turn.close()
    try:
        until(lambda: not is_locked(database, WRITER), 30, "the fork to close it")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's open files there")
def test_a_line_that_nobody_needs_any_more_leaves_no_file_open(database) -> None:
    def opened() -> set[str]:
        files = set()
        for one in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # closed since it was listed
                files.add(str(one.readlink()))
        return {f"{database}-{NEXT}", f"{database}-{WRITER}"} & files

    line = WriteLine(database)
    with line.turn():
        assert len(opened()) == 2
    del line
    assert not opened()
