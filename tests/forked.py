"""Fork server for processes of the hub: they start quickly, with the libraries loaded already.

Most of a process's start-up time is the import of third-party packages, and the tests start
hundreds. Of the hub itself nothing is imported before the fork: each process does that anew and in
its own order, as `python -m` would.
"""

import atexit
import ctypes
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

# Not gunicorn: it takes the folder of its import as its working directory.
_LIBRARIES = (
    "alembic.command alembic.config argon2 babel.dates babel.numbers click cryptography.x509 "
    "email_validator environs flask flask_sqlalchemy flask_wtf holidays jinja2.sandbox marshmallow "
    "orjson phonenumbers prometheus_client psycopg pyotp redis requests rich.console rich.table rq "
    "ruamel.yaml segno sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.sqlite "
    "sqlalchemy.ext.asyncio sqlalchemy.orm structlog tenacity"
).split()

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_LIBRARIES)


class Forked:
    """Process that runs a module; it has the methods of `subprocess.Popen` that tests need.

    It has a session of its own, no input, and dies with the test process.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: Any,
        stderr: Any,
    ) -> None:
        begun, theirs = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=_become,
            args=(module, arguments, cwd, dict(env), _File(stdout), _File(stderr), theirs),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        with begun, suppress(EOFError):  # closed once signals can reach the child's session
            begun.recv_bytes()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, or less than 0 for a signal.

        Raises:
            subprocess.TimeoutExpired: the process did not end in time.
        """
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _File:
    """Pickle of an open file: it becomes a file descriptor in the new process."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return _number, (DupFd(self._file.fileno()),)


def _number(passed: Any) -> int:
    return int(passed.detach())


def _become(
    module: str,
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    begun: Any,
) -> None:
    """Run `python -m module …` in this process, to its end."""
    os.setsid()
    # A worker keeps a niceness that it was started with. By its own it would have a twentieth of
    # what each program gets that takes all it can beside the tests, and be late for all of them.
    os.setpriority(os.PRIO_PROCESS, 0, 1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    begun.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), stdout, stderr)):
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:  # an interpreter does this at its end, and a forked process does not
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
