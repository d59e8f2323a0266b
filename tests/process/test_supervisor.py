"""Supervisor with real processes: small stand-ins for web, worker and clock."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
SCRIPT = """
import os, sys
from hub.process.supervisor import Program, RestartPolicy, Supervisor

def started(name):
    return lambda: os.path.exists(name)

stages = [[Program(name, [sys.executable, "-c", code], started(ready) if ready else lambda: True,
                   f"{name} is ready" if ready else "")
           for name, code, ready in stage] for stage in STAGES]
sys.exit(Supervisor(stages, lambda line: print(line, flush=True), RestartPolicy(**PATIENCE)).run())
"""


class Running:
    """Supervisor in a process of its own, and its output so far."""

    def __init__(
        self, folder: Path, stages: list[list[tuple[str, str, str]]], **patience: float
    ) -> None:
        self._log = folder / "said"
        script = f"STAGES = {stages!r}\nPATIENCE = {patience!r}\n{SCRIPT}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", script],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )

    @property
    def said(self) -> list[str]:
        return self._log.read_text().splitlines()

    def count(self, words: str) -> int:
        return sum(words in line for line in self.said)

    def pid_of(self, name: str) -> int:
        """Return the process id of the latest start."""
        wait_until(lambda: self.count(f"{name} started") > 0)
        line = [line for line in self.said if line.startswith(f"{name} started")][-1]
        return int(line.removesuffix(")").rpartition(" ")[2])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def start_one(*stages: list[tuple[str, str, str]], **patience: float) -> Running:
        started.append(Running(tmp_path, list(stages), **patience))
        return started[-1]

    yield start_one
    for running in started:
        running.process.kill()
        running.process.wait()


def wait_until(is_true: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_killed_child_is_started_again(start: Start) -> None:
    running = start([("web", SLEEPER, "")])
    first = running.pid_of("web")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: running.count("web started") == 2)
    assert running.count("web was killed by SIGKILL; starting it again in 0.2 s") == 1
    assert is_alive(running.pid_of("web"))
    assert not is_alive(first)


def test_what_a_killed_child_leaves_behind_is_killed(start: Start, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); "
        "open('left', 'w').write(str(child.pid)); time.sleep(60)"
    )
    running = start([("web", code, "")])
    left = tmp_path / "left"
    wait_until(lambda: left.exists() and left.read_text() != "")
    orphan = int(left.read_text())
    os.kill(running.pid_of("web"), signal.SIGKILL)
    wait_until(lambda: not is_alive(orphan))


def test_what_keeps_dying_is_started_ever_more_slowly(start: Start) -> None:
    running = start([("web", "raise SystemExit(1)", "")], first_delay_s=0.05, max_delay_s=0.2)
    wait_until(lambda: running.count("ended with exit code 1") >= 5)
    delays = [line.rpartition(" in ")[2] for line in running.said if "exit code 1" in line]
    assert delays[:5] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s", "0.2 s"]


def test_what_lived_long_enough_is_started_quickly_again(start: Start) -> None:
    code = "import time; time.sleep(0.3)"
    running = start([("web", code, "")], first_delay_s=0.05, healthy_after_s=0.2)
    wait_until(lambda: running.count("ended with exit code 0") >= 3)
    assert running.count("starting it again in 0.05 s") == running.count("ended with exit code 0")


def test_children_die_with_a_killed_supervisor(start: Start) -> None:
    running = start([("redis", STUBBORN, "")], [("web", STUBBORN, "")])
    children = [running.pid_of("redis"), running.pid_of("web")]
    assert all(map(is_alive, children))
    running.signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children)))


def test_a_stage_waits_for_the_one_before_it(start: Start, tmp_path: Path) -> None:
    running = start([("redis", SLEEPER, "open")], [("web", SLEEPER, "")])
    running.pid_of("redis")
    time.sleep(0.5)
    assert running.count("web started") == 0
    (tmp_path / "open").touch()
    running.pid_of("web")
    assert [line.split(" (")[0] for line in running.said] == [
        "redis started",
        "redis is ready",
        "web started",
    ]


def test_a_stage_that_never_gets_ready_does_not_hold_the_next_for_ever(start: Start) -> None:
    running = start([("redis", SLEEPER, "never")], [("web", SLEEPER, "")], ready_within_s=0.3)
    assert is_alive(running.pid_of("web"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_last_stage_is_stopped_first(start: Start, tmp_path: Path, number: int) -> None:
    def writes(name: str) -> str:
        return (
            "import os, signal, time\n"
            f"def stop(*_): time.sleep(0.2); open('order', 'a').write('{name} '); os._exit(0)\n"
            f"signal.signal(signal.SIGTERM, stop); open('{name}', 'w').close()\n"
            "while True: time.sleep(1)"
        )

    running = start([("redis", writes("redis"), "")], [("web", writes("web"), "")])
    wait_until(lambda: (tmp_path / "redis").exists() and (tmp_path / "web").exists())
    running.signal(number)
    assert running.process.wait(15) == 0
    assert (tmp_path / "order").read_text() == "web redis "
    assert running.said[-1] == "stopped"


def test_what_does_not_stop_is_killed(start: Start) -> None:
    running = start([("web", STUBBORN + " #", "")], stopped_within_s=0.5)
    child = running.pid_of("web")
    time.sleep(0.3)
    running.signal(signal.SIGTERM)
    assert running.process.wait(15) == 0
    assert running.count("web does not stop: killed") == 1
    assert not is_alive(child)


def test_a_second_signal_stops_at_once_but_not_an_echo_of_the_first(start: Start) -> None:
    running = start([("web", STUBBORN, "")], second_signal_after_s=0.5)
    running.pid_of("web")
    time.sleep(0.3)
    running.signal(signal.SIGINT)
    running.signal(signal.SIGTERM)
    time.sleep(0.7)
    assert running.process.poll() is None
    running.signal(signal.SIGINT)
    assert running.process.wait(5) == 0


def test_a_configuration_fault_ends_everything_instead_of_looping(start: Start) -> None:
    running = start([("redis", SLEEPER, "")], [("web", "raise SystemExit(2)", "")])
    redis = running.pid_of("redis")
    assert running.process.wait(15) == 2
    assert running.count("web started") == 3
    assert running.count("web cannot run with this configuration: stopping") == 1
    assert not is_alive(redis)
