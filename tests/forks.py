"""Fork of the test process with a deadline, which never runs the tests a second time."""

import os
import signal
import traceback
from collections.abc import Callable

from tests.running import until


def holds_in_a_fork(work: Callable[[], object], within_s: float = 30) -> bool:
    """Return whether `work` returns a true value in a fork of this process.

    Raises:
        AssertionError: the fork did not end in time.
    """
    if (child := os.fork()) == 0:
        code = 1
        try:
            code = 0 if work() else 1
        except BaseException:  # noqa: BLE001 - whatever the error, this process ends here
            traceback.print_exc()
        finally:
            os._exit(code)
    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended.append(status)
        return pid == child

    try:
        until(has_ended, within_s, "the fork to end")
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(ended[-1]) == 0
