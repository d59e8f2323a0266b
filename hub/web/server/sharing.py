"""Connection sharing: new connections are shared among web processes by their load."""

import socket
import time
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

# How long a new connection is left to other workers, for each request that is being answered.
LEAVE_FOR_S, LEAVE_MOST_S = 0.0005, 0.004


class SharingWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that leaves new connections to less busy workers, for a moment.

    `answering` are the connections whose requests are at work; who hands them over keeps it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answering: set[TConn] = set()
        self._accept_from_s = 0.0
        self._is_leaving = False

    def accept(self, listener: socket.socket) -> None:
        """Accept a new connection; if other workers may be less busy, a little later.

        All workers wait for the same ones, and who is at work anyway is there first: without this
        one of them gets nearly all.
        """
        now_s = time.monotonic()
        is_again = now_s <= self._accept_from_s + LEAVE_MOST_S
        if self.cfg.workers > 1 and self.answering and not is_again:
            self._accept_from_s = now_s + min(LEAVE_FOR_S * len(self.answering), LEAVE_MOST_S)
            self.set_accept_enabled(False)
            self._is_leaving = True
        else:
            super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Enable or disable accepting; enabling waits until connections were left long enough."""
        if enabled and self._is_leaving and time.monotonic() < self._accept_from_s:
            return
        self._is_leaving = False
        super().set_accept_enabled(enabled)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for socket events, no longer than new connections are left to other workers."""
        if self._is_leaving and self.nr_conns < self.worker_connections:
            timeout = min(timeout, max(0.0, self._accept_from_s - time.monotonic()))
        super().wait_for_and_dispatch_events(timeout)
