"""Supervisor of child processes: starts them in stages, restarts dead ones, stops them in order.

It has a single thread: on Linux a child dies with the *thread* that started it.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hub.process.child import SIGNALS, CommandProcess, ForkedProcess, Process, how_it_ended

# Exit code of a process that a restart cannot help: its configuration is wrong.
CONFIGURATION_FAULT = 2

_POLL_S = 0.2
_REST_S = 1.0  # while all are ready: a signal, that of a child's end too, ends the wait


@dataclass(frozen=True, slots=True)
class Program:
    """Command to keep running, or a function that is called in a fork of this process.

    `announcement` is printed once `is_ready` returns true. `is_alive` gets the time of the start,
    on the monotonic clock; a process for which it returns false hangs, and is killed.
    """

    name: str
    command: Sequence[str] | Callable[[], None]
    is_ready: Callable[[], bool] = lambda: True
    announcement: str = ""
    is_alive: Callable[[float], bool] = lambda started_at: True


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
    stopped before that stage. `say` receives one line for each occurrence. With `reload`, SIGHUP
    calls it instead, and replaces every process if it returns true. `before_stop` is called once,
    before the first process is told to end.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Program]],
        say: Callable[[str], None],
        patience: RestartPolicy = RestartPolicy(),
        *,
        reload: Callable[[], bool] | None = None,
        before_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._reload = reload
        self._before_stop = before_stop
        self._reload_asked = False
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
                self._before_stop()
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
            if self._reload_asked and self._reload:
                self._reload_asked = False
                for child in awake if self._reload() else ():
                    child.replace(now)
            for child in awake:
                child.tend(now)
                if child.faults >= self._patience.faults_in_a_row:
                    self._say(f"{child.name} cannot run with this configuration: stopping")
                    return CONFIGURATION_FAULT
            at_rest = not stage and all(child.is_settled for child in awake)
            wait(_REST_S if at_rest else min(_POLL_S, self._patience.first_delay_s))
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
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
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
        if number == signal.SIGHUP and self._reload:
            self._reload_asked = True
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
        self._process: Process | None = None
        # Replaced processes that have not ended yet, each with the time when it is killed.
        self._leaving: list[tuple[Process, float]] = []
        self._started_at = 0.0
        self._start_at = 0.0
        self._delay_s = patience.first_delay_s

    @property
    def is_settled(self) -> bool:
        """Return whether its process runs, is ready, and replaces none that is still to end."""
        return self._process is not None and self.ready and not self._leaving

    def tend(self, now: float) -> None:
        """Start the process when it is due; notice when it has died, hangs or is ready."""
        self._tend_leaving(now)
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
        elif (code := self._process.poll()) is not None:
            self._bury(self._process, code, now)
        elif not self._program.is_alive(self._started_at):
            self._say(f"{self.name} hangs: killed")
            self._process.end()
        elif not self.ready and self._program.is_ready():
            self.ready = True
            if self._program.announcement:
                self._say(self._program.announcement)

    def replace(self, now: float) -> None:
        """Start a new process beside the old one, which is asked to end."""
        if self._process is not None:
            self._process.terminate()
            self._leaving.append((self._process, now + self._patience.stopped_within_s))
        self._start(now)

    def is_running(self) -> bool:
        return any(process.poll() is None for process in self._processes())

    def terminate(self) -> None:
        for process in self._processes():
            process.terminate()

    def kill(self) -> None:
        """Kill every process, and wait until it has ended."""
        if self.is_running():
            self._say(f"{self.name} does not stop: killed")
        for process in self._processes():
            process.end()
        self._process, self._leaving = None, []

    def _processes(self) -> list[Process]:
        leaving = [process for process, _ in self._leaving]
        return leaving if self._process is None else [*leaving, self._process]

    def _tend_leaving(self, now: float) -> None:
        for process, until in list(self._leaving):
            if now > until or process.poll() is not None:
                process.end()
                self._leaving.remove((process, until))

    def _start(self, now: float) -> None:
        command = self._program.command
        self._process = ForkedProcess(command) if callable(command) else CommandProcess(command)
        self._started_at = now
        self._say(f"{self.name} started (process {self._process.pid})")

    def _bury(self, process: Process, code: int, now: float) -> None:
        process.end()
        self._process = None
        if now - self._started_at >= self._patience.healthy_after_s:
            self._delay_s = self._patience.first_delay_s
        self.faults = self.faults + 1 if code == CONFIGURATION_FAULT else 0
        self._say(f"{self.name} {how_it_ended(code)}; starting it again in {self._delay_s:g} s")
        self._start_at = now + self._delay_s
        self._delay_s = min(self._delay_s * 2, self._patience.max_delay_s)
