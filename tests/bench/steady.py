"""Open-loop sender: posts at a fixed rate, however long the answers take.

A sender that waits for answers sends less while a server stalls, and its percentiles hide the
stall. Here a time counts from the moment when the request was to be sent, also where it waited for
a connection.
"""

import select
import statistics
import time
from collections import deque
from collections.abc import Sequence

from tests.bench.load import Line

# Lines that are open before the first request; more are opened while all of them wait, but fewer
# than a web process keeps open: beyond its limit it closes those that wait for nothing.
LINES = 64
MOST_LINES = 500


def steady(
    port: int, requests: Sequence[bytes], *, per_s: float, uncounted: int = 0
) -> list[float]:
    """Send all requests at this rate; return the seconds until each 2xx, in the order of arrival.

    The first `uncounted` requests are the warm-up: connections are opened anew after a hundred
    requests, and until then one web process may have most of them.

    Raises:
        AssertionError: a request was refused.
    """
    poll = select.epoll()
    free = deque(Line(port) for _ in range(LINES))
    busy: dict[int, tuple[Line, int]] = {}
    took_s: list[float] = []
    begin_s = time.perf_counter()
    sent = 0
    while sent < len(requests) or busy:
        is_next = sent < len(requests) and (free or len(busy) < MOST_LINES)
        wait_s = max(0.0, begin_s + sent / per_s - time.perf_counter()) if is_next else None
        for number, _ in poll.poll(wait_s):
            line, which = busy.pop(number)
            poll.unregister(number)
            status = line.status()
            assert 200 <= status < 300, f"a webhook was answered {status}"
            if which >= uncounted:
                took_s.append(time.perf_counter() - (begin_s + which / per_s))
            free.append(line)
        while sent < len(requests) and begin_s + sent / per_s <= time.perf_counter():
            if not free and len(busy) >= MOST_LINES:
                break
            line = free.popleft() if free else Line(port)
            line.send(requests[sent])
            poll.register(line.socket, select.EPOLLIN)
            busy[line.socket.fileno()] = (line, sent)
            sent += 1
    poll.close()
    for line in free:
        line.socket.close()
    return took_s


def quantile_ms(took_s: Sequence[float], part: int) -> float:
    """Return a percentile of times, in milliseconds."""
    return statistics.quantiles(took_s, n=100)[part - 1] * 1000
