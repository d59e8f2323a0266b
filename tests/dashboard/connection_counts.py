"""Count of the database connections that requests hold, by thread."""

import threading
from collections import Counter
from typing import Any

from flask import has_request_context
from sqlalchemy import Engine, event


class ConnectionCounts:
    """Connections of an engine that requests took, and the most that one thread held at once."""

    def __init__(self, engine: Engine) -> None:
        self.taken = 0
        self.most_at_once = 0
        self._held: Counter[int] = Counter()
        self._threads: dict[int, int] = {}
        self._lock = threading.Lock()
        event.listen(engine, "checkout", self._on_checkout)
        event.listen(engine, "checkin", self._on_checkin)

    @property
    def held(self) -> int:
        """Return how many are held now."""
        return self._held.total()

    def _on_checkout(self, _: Any, record: Any, __: Any) -> None:
        if not has_request_context():
            return
        thread = threading.get_ident()
        with self._lock:
            self._threads[id(record)] = thread
            self.taken += 1
            self._held[thread] += 1
            self.most_at_once = max(self.most_at_once, self._held[thread])

    def _on_checkin(self, _: Any, record: Any) -> None:
        with self._lock:
            thread = self._threads.pop(id(record), None)
            if thread is not None:
                self._held[thread] -= 1
