"""Deadlines for sockets: one thread shuts a socket down when its deadline has passed.

A socket's own time-out starts anew with every byte, so a peer that sends one byte a second is
never late. What waits for a socket that is shut down wakes up at once.
"""

import heapq
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Guard:
    """Deadline of one socket. `expired`: the watchdog has shut the socket down."""

    __slots__ = ("done", "expired", "socket")

    def __init__(self, watched: socket.socket) -> None:
        self.socket = watched
        self.done = False
        self.expired = False


class Watchdog:
    """Deadline thread: starts with the first guard, and anew in a forked child."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Reset all state: a forked child inherits no thread, but perhaps a locked lock."""
        self._condition = threading.Condition()
        self._deadlines: list[tuple[float, int, Guard]] = []
        self._count = 0
        self._has_thread = False

    @contextmanager
    def guard(self, watched: socket.socket, timeout_s: float) -> Iterator[Guard]:
        """Shut reading down if the block has not ended after `timeout_s`."""
        guard = Guard(watched)
        with self._condition:
            self._start()
            self._count += 1
            deadline = time.monotonic() + timeout_s
            heapq.heappush(self._deadlines, (deadline, self._count, guard))
            if self._deadlines[0][2] is guard:
                self._condition.notify()
        try:
            yield guard
        finally:
            guard.done = True

    def _start(self) -> None:
        if not self._has_thread:
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()
            self._has_thread = True

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._deadlines and self._deadlines[0][2].done:
                    heapq.heappop(self._deadlines)
                if not self._deadlines:
                    self._condition.wait()
                    continue
                wait_s = self._deadlines[0][0] - time.monotonic()
                if wait_s > 0:
                    self._condition.wait(wait_s)
                    continue
                guard = heapq.heappop(self._deadlines)[2]
            if not guard.done:
                guard.expired = True
                with suppress(OSError):
                    guard.socket.shutdown(socket.SHUT_RD)


WATCHDOG = Watchdog()
