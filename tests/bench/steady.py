"""Open-loop sender: posts at a fixed rate, however long the answers take.

A sender that waits for answers sends less while a server stalls, and its percentiles hide the
stall. Here a time counts from the moment when the request was to be sent.
"""

import select
import statistics
import time
from collections import deque
from collections.abc import Sequence

from tests.bench.load import Line

# Lines that are open before the first request; more are opened while all of them wait.
LINES = 64


def steady(port: int, requests: Sequence[bytes], *, per_s: float) -> list[float]:
    """Send all requests at this rate; return the seconds until each 2xx, in the order of arrival.

    Raises:
        AssertionError: a request was refused.
    """
    poll = select.epoll()
    free = deque(Line(port) for _ in range(LINES))
    busy: dict[int, tuple[Line, float]] = {}
    took_s: list[float] = []
    begin_s = time.perf_counter()
    sent = 0
    while sent < len(requests) or busy:
        due_s = begin_s + sent / per_s
        wait_s = max(0.0, due_s - time.perf_counter()) if sent < len(requests) else None
        for number, _ in poll.poll(wait_s):
            line, was_due_s = busy.pop(number)
            poll.unregister(number)
            status = line.status()
            assert 200 <= status < 300, f"a webhook was answered {status}"
            took_s.append(time.perf_counter() - was_due_s)
            free.append(line)
        while sent < len(requests) and begin_s + sent / per_s <= time.perf_counter():
            line = free.popleft() if free else Line(port)
            line.send(requests[sent])
            poll.register(line.socket, select.EPOLLIN)
            busy[line.socket.fileno()] = (line, begin_s + sent / per_s)
            sent += 1
    poll.close()
    for line in free:
        line.socket.close()
    return took_s


def quantile_ms(took_s: Sequence[float], part: int) -> float:
    """Return a percentile of times, in milliseconds."""
    return statistics.quantiles(took_s, n=100)[part - 1] * 1000
