"""Supervisor of child processes: starts them in stages, restarts dead ones, stops them in order.

It has a single thread: on Linux a child dies with the *thread* that started it.
"""

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.core.errors import Refused

# Exit code of a process that a restart cannot help: its configuration is wrong.
CONFIGURATION_FAULT = 2

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_S = 0.2
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Program:
    """Command to keep running. `announcement` is printed once `is_ready` returns true."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = lambda: True
    announcement: str = ""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Restart delays, time limits, and the configuration errors in a row that stop everything."""

    first_delay_s: float = 0.2
    max_delay_s: float = 10
    healthy_after_s: float = 30
    ready_within_s: float = 10
    stopped_within_s: float = 30
    second_signal_after_s: float = 1
    faults_in_a_row: int = 3


class Supervisor:
    """Supervisor that keeps stages of programs running until SIGTERM, SIGINT or SIGHUP.

    A stage is started once all programs of the previous stage are ready (or took too long), and
    stopped before that stage. `say` receives one line for each occurrence.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Program]],
        say: Callable[[str], None],
        patience: RestartPolicy = RestartPolicy(),
    ) -> None:
        self._stages = [[_Child(program, say, patience) for program in stage] for stage in stages]
        self._say = say
        self._patience = patience
        self._signalled_at: float | None = None
        self._hurry = False

    def run(self) -> int:
        """Run until all programs have ended; return 0 after a signal, or `CONFIGURATION_FAULT`."""
        with self._signals() as wait:
            try:
                code = self._keep_alive(wait)
            finally:
                for stage in reversed(self._stages):
                    self._stop(stage, wait)
        self._say("stopped")
        return code

    def _keep_alive(self, wait: Callable[[float], None]) -> int:
        stages = iter(self._stages)
        awake: list[_Child] = []
        stage: list[_Child] = []
        wait_until = 0.0
        while self._signalled_at is None:
            now = time.monotonic()
            if all(child.ready for child in stage) or now > wait_until:
                stage = next(stages, [])
                awake += stage
                wait_until = now + self._patience.ready_within_s
            for child in awake:
                child.tend(now)
                if child.faults >= self._patience.faults_in_a_row:
                    self._say(f"{child.name} cannot run with this configuration: stopping")
                    return CONFIGURATION_FAULT
            wait(min(_POLL_S, self._patience.first_delay_s))
        self._say("stopping; once more to stop at once")
        return 0

    def _stop(self, stage: Sequence["_Child"], wait: Callable[[float], None]) -> None:
        for child in stage:
            child.terminate()
        deadline = time.monotonic() + self._patience.stopped_within_s
        while any(child.is_running() for child in stage):
            if self._hurry or time.monotonic() > deadline:
                break
            wait(_POLL_S)
        for child in stage:
            child.kill()

    @contextmanager
    def _signals(self) -> Iterator[Callable[[float], None]]:
        """Install signal handlers; yield a wait function that any of the signals interrupts."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        before_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def wait(at_most_s: float) -> None:
            if select.select([reader], [], [], at_most_s)[0]:
                os.read(reader, 512)

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _note(self, number: int, _: object) -> None:
        if number == signal.SIGCHLD:
            return
        now = time.monotonic()
        if self._signalled_at is None:
            self._signalled_at = now
        elif now - self._signalled_at > self._patience.second_signal_after_s:
            # One Ctrl-C may arrive twice, from the terminal and from make.
            self._hurry = True


class _Child:
    """Program with its process, if one runs, and the time of its next start."""

    def __init__(
        self, program: Program, say: Callable[[str], None], patience: RestartPolicy
    ) -> None:
        self.name = program.name
        self.ready = False
        self.faults = 0
        self._program = program
        self._say = say
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._delay_s = patience.first_delay_s

    def tend(self, now: float) -> None:
        """Start the process when it is due; notice when it has died or become ready."""
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
        elif self._process.poll() is not None:
            self._bury(self._process, now)
        elif not self.ready and self._program.is_ready():
            self.ready = True
            if self._program.announcement:
                self._say(self._program.announcement)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and its process group, and wait until it has ended."""
        if self._process is None:
            return
        if self.is_running():
            self._say(f"{self.name} does not stop: killed")
        self._kill_group(self._process.pid)
        self._process.wait()
        self._process = None

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(
            self._program.command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops them in order
            preexec_fn=die_with_parent(),
        )
        self._started_at = now
        self._say(f"{self.name} started (process {self._process.pid})")

    def _bury(self, process: subprocess.Popen[bytes], now: float) -> None:
        code = process.returncode
        self._kill_group(process.pid)
        self._process = None
        if now - self._started_at >= self._patience.healthy_after_s:
            self._delay_s = self._patience.first_delay_s
        self.faults = self.faults + 1 if code == CONFIGURATION_FAULT else 0
        self._say(f"{self.name} {_how_it_ended(code)}; starting it again in {self._delay_s:g} s")
        self._start_at = now + self._delay_s
        self._delay_s = min(self._delay_s * 2, self._patience.max_delay_s)

    @staticmethod
    def _kill_group(group: int) -> None:
        """Kill the rest of a process group: workers of a dead web server hold its port."""
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS raises the second for a dead group
            return


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """Return a `preexec_fn` that makes a child receive this signal when its parent dies.

    Only Linux supports this; elsewhere the function does nothing.
    """
    parent = os.getpid()
    if not can_die_with_parent():
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before `prctl`
            os._exit(1)

    return ask


def can_die_with_parent() -> bool:
    return sys.platform == "linux"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on `folder` for this process while the block runs.

    Raises:
        Refused: another process holds the lock. The message has its process id.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may contain personal data
    with open(folder / "hub.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Refused(
                f"the hub is already running on {folder} (process {holder}): stop it first, "
                "or start this one in another directory"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
