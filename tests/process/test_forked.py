"""Forks under a supervisor, in a process of its own: signals, replacement, and those that hang."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import until

WITHIN_S = 20
SCRIPT = """
import os, signal, sys, time
from multiprocessing import get_context
from hub.process.supervisor import Program, RestartPolicy, Supervisor

def append(line):
    with open("said", "a") as file:
        file.write(line + "\\n")

beat = get_context("fork").Value("d", 0.0, lock=False)

def work():
    signal.signal(signal.SIGTERM, lambda *_: (append(f"told {os.getpid()}"), sys.exit(0)))
    append(f"begun {os.getpid()} {open('file').read()}")
    while True:
        beat.value = time.monotonic()
        time.sleep(0.05)

def reload():
    append("reload")
    return open("file").read() != "faulty"

program = Program("work", work, is_alive=lambda started_at:
                  time.monotonic() - max(started_at, beat.value) < HANGS_S)
sys.exit(Supervisor([[program]], append, RestartPolicy(), reload=reload).run())
"""


class Running:
    """Supervisor of one fork, and what both have said so far."""

    def __init__(self, folder: Path, hangs_s: float) -> None:
        self.file, self._said = folder / "file", folder / "said"
        self.file.write_text("first")
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"HANGS_S = {hangs_s}\n{SCRIPT}"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )

    def said(self, words: str) -> list[str]:
        lines = self._said.read_text().splitlines() if self._said.exists() else []
        return [line for line in lines if line.startswith(words)]

    def forks(self) -> list[int]:
        """Return the ids of the forks that have begun, in their order."""
        return [int(line.split()[1]) for line in self.said("begun")]

    def wait_for_forks(self, count: int) -> int:
        """Wait until so many forks have begun; return the id of the last."""
        until(lambda: len(self.forks()) == count, WITHIN_S, f"{count} forks")
        return self.forks()[-1]


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start_one(hangs_s: float = 60) -> Running:
        started.append(Running(tmp_path, hangs_s))
        return started[-1]

    yield start_one
    for running in started:
        running.process.kill()
        running.process.wait()


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_sigterm_ends_the_fork_gently_and_then_the_supervisor(start: Start) -> None:
    running = start()
    fork = running.wait_for_forks(1)
    until(lambda: Path(f"/proc/{fork}/status").exists(), WITHIN_S, "the fork")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(WITHIN_S) == 0
    assert running.said("told") == [f"told {fork}"]
    assert has_ended(fork)


def test_a_fork_that_dies_is_started_again(start: Start) -> None:
    running = start()
    first = running.wait_for_forks(1)
    os.kill(first, signal.SIGKILL)
    assert running.wait_for_forks(2) != first
    assert running.said("work was killed by SIGKILL")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_a_fork_dies_with_its_supervisor(start: Start) -> None:
    running = start()
    fork = running.wait_for_forks(1)
    running.process.kill()
    running.process.wait()
    until(lambda: has_ended(fork), WITHIN_S, "the fork to end")


def test_a_fork_that_stands_still_is_killed_and_started_again(start: Start) -> None:
    running = start(hangs_s=3)
    first = running.wait_for_forks(1)
    os.kill(first, signal.SIGSTOP)
    assert running.wait_for_forks(2) != first
    assert running.said("work hangs")


def test_sighup_replaces_the_fork_if_the_reload_succeeds(start: Start) -> None:
    running = start()
    first = running.wait_for_forks(1)
    running.file.write_text("second")
    running.process.send_signal(signal.SIGHUP)
    second = running.wait_for_forks(2)
    until(lambda: has_ended(first), WITHIN_S, "the first one to end")
    assert running.said(f"begun {second}") == [f"begun {second} second"]
    assert not has_ended(second)


def test_sighup_changes_nothing_if_the_reload_fails(start: Start) -> None:
    running = start()
    first = running.wait_for_forks(1)
    running.file.write_text("faulty")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: running.said("reload"), WITHIN_S, "the reload")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: len(running.said("reload")) == 2, WITHIN_S, "another reload")
    assert running.forks() == [first]
    assert not has_ended(first)


def test_a_terminal_that_hangs_up_does_not_end_the_fork(start: Start) -> None:
    running = start()
    fork = running.wait_for_forks(1)
    os.killpg(running.process.pid, signal.SIGHUP)
    second = running.wait_for_forks(2)
    until(lambda: has_ended(fork), WITHIN_S, "the first one to be replaced")
    assert not has_ended(second)
