"""Time bounds for tests, far below the delay of a fault and safe on a busy machine."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Duration of events that no code under test may wait for.
NEVER_S = 60.0


@contextmanager
def soon(within_s: float = NEVER_S / 4) -> Iterator[None]:
    """Assert that the block does not wait for anything that lasts `NEVER_S`."""
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    assert took_s < within_s, f"it took {took_s:.1f} s: it waits for something"


@contextmanager
def little_work(most_s: float = 5.0) -> Iterator[None]:
    """Assert a bound on this thread's CPU seconds in the block, independent of all else that runs.

    The collector waits: going through all that a long test run has made is no work of the block.
    """
    is_on = gc.isenabled()
    gc.disable()
    started_s = time.thread_time()
    try:
        yield
    finally:
        took_s = time.thread_time() - started_s
        if is_on:
            gc.enable()
    assert took_s < most_s, f"it took {took_s:.1f} s of CPU"
