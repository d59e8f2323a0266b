"""The last resort against a worker that hangs as a whole: a timer that needs nothing of Python's.

Code that does not give up the interpreter (a regular expression that searches for ever) stops every
thread, also the one that would notice. The timer ends the process then, after it has written where
each thread was: files, lines and functions, no values.
"""

import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# How long the drain's thread may not come by. All that it waits for, the database above all, has an
# end before that.
AFTER_S = 60.0

# To set it costs a thread, and the drain's comes by hundreds of times a second.
AGAIN_AFTER_S = 1.0


class _Timer:
    """The one timer of this process."""

    watching = False
    set_at_s = 0.0


@contextmanager
def armed() -> Iterator[None]:
    """End this process when `still_alive` is not called for too long in the block."""
    _Timer.watching, _Timer.set_at_s = True, 0.0
    feed()
    try:
        yield
    finally:
        _Timer.watching = False
        faulthandler.cancel_dump_traceback_later()


def feed() -> None:
    """Say that the drain's thread comes by."""
    now_s = time.monotonic()
    if _Timer.watching and now_s >= _Timer.set_at_s + AGAIN_AFTER_S:
        _Timer.set_at_s = now_s
        with suppress(RuntimeError):  # no thread can be started now: again in a second
            faulthandler.dump_traceback_later(AFTER_S, exit=True, file=sys.stderr)
