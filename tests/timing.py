"""Time in tests: a bound on what a fault would exceed by far, however busy the machine is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# What nobody may wait for lasts this long in a test.
NEVER_S = 60.0


@contextmanager
def soon(within_s: float = NEVER_S / 4) -> Iterator[None]:
    """Assert that the block does not wait for what lasts `NEVER_S`."""
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    assert took_s < within_s, f"it took {took_s:.1f} s: it waits for something"


@contextmanager
def little_work(most_s: float = 5.0) -> Iterator[None]:
    """Assert what the block costs this process, in seconds of CPU: others cannot add to it."""
    started_s = time.process_time()
    yield
    took_s = time.process_time() - started_s
    assert took_s < most_s, f"it took {took_s:.1f} s of CPU"
