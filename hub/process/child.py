"""Child process: a command, or a function in a fork of this process.

A command has a session of its own; a fork stays in the session and the group of its parent. Both
die with their parent, as far as the system can do that.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Signals that a supervisor handles, and its forks must not handle as it does.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


log = logging.getLogger(__name__)


class Process(Protocol):
    """Process that was started."""

    @property
    def pid(self) -> int:
        """Return the process's id."""

    def poll(self) -> int | None:
        """Return the exit code, less than 0 for a signal; None while it runs."""

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""

    def end(self) -> None:
        """Kill the process and what it started, and wait until it has ended."""


class CommandProcess:
    """Process of a command, the leader of a session: Ctrl-C does not reach it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own commands, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
            preexec_fn=die_with_parent(),
            umask=0o077,  # what it writes is for its owner alone, as all that the hub makes
        )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        """Kill the process group: workers of a dead web server hold its port."""
        with suppress(ProcessLookupError, PermissionError):  # macOS: the second for a dead group
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class ForkedProcess:
    """Process that runs a function in a fork, with the default handlers of signals."""

    def __init__(self, target: Callable[[], None]) -> None:
        self._code: int | None = None
        ask = die_with_parent()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that comes before the fork has its own handlers waits until it has.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                ask()
                _handle_signals()
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
                os._exit(_exit_code(target))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def end(self) -> None:
        self._send(signal.SIGKILL)
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _handle_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        # A terminal that hangs up tells the whole group; what that means is for the parent to say.
        ignored = number == signal.SIGHUP
        signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)


def _exit_code(target: Callable[[], None]) -> int:
    """Call a function as the whole of a process, and return the process's exit code."""
    try:
        target()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # the last resort: the fork must end here, with a code that says so
        log.exception("the process failed")
        return 1
    return 0


def how_it_ended(code: int) -> str:
    """Return how a process ended in words, by its exit code."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """Return a function for a child to call: it then receives this signal when its parent dies.

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
