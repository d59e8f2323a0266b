"""Hang timer: ends a worker that hangs as a whole, with a timer outside the Python interpreter.

Code that does not release the GIL (a regular expression that backtracks for ever) stops every
thread, including one that would notice. The timer (`faulthandler`) then writes the position of each
thread (files, lines and functions, no values) and ends the process.
"""

import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# The longest time between two calls of `feed`. Everything that the drain's thread waits for, above
# all the database, has a shorter time-out.
AFTER_S = 60.0

# Setting the timer starts a thread, and the drain calls `feed` hundreds of times a second.
AGAIN_AFTER_S = 1.0


class _Timer:
    """Timer state of this process."""

    watching = False
    set_at_s = 0.0


@contextmanager
def armed() -> Iterator[None]:
    """End this process if `feed` is not called for `AFTER_S` seconds inside the block."""
    _Timer.watching, _Timer.set_at_s = True, 0.0
    feed()
    try:
        yield
    finally:
        _Timer.watching = False
        faulthandler.cancel_dump_traceback_later()


def feed() -> None:
    """Restart the timer, at most once a second; does nothing if it is not armed."""
    now_s = time.monotonic()
    if _Timer.watching and now_s >= _Timer.set_at_s + AGAIN_AFTER_S:
        _Timer.set_at_s = now_s
        with suppress(RuntimeError):  # no thread can be started now: retried in a second
            faulthandler.dump_traceback_later(AFTER_S, exit=True, file=sys.stderr)
