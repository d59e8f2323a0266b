"""Counters of verified and rejected requests per source: kept in memory, flushed every 5 s.

So are the names of fields that a form does not declare.

A flood of forged requests must not become a flood of writes.
"""

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from hub.core.models import RequestState
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.ports import Store

FLUSH_EVERY_S = 5
# Rejected requests stored per source, minute and process; further ones are only counted.
TRACES_PER_MINUTE = 5

log = logging.getLogger(__name__)


class SourceCounters:
    """Counters of one process; the flush thread starts with the first request, after any fork."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._news: dict[str, SourceNews] = {}
        self._traces: Counter[tuple[str, int]] = Counter()
        self._started = False

    def ingested(self, source: str, at: datetime, state: RequestState) -> None:
        """Count a verified request."""
        with self._lock:
            news = self._news_of(source)
            news.counts[state] += 1
            news.last_verified_at = at

    def rejected(self, source: str, at: datetime, reason: str, *, traced: bool = True) -> bool:
        """Count a rejected request; return whether to store its trace: never if not `traced`."""
        with self._lock:
            news = self._news_of(source)
            news.counts[RequestState.REJECTED] += 1
            news.last_rejected_at, news.last_rejected_reason = at, reason
            if not traced:
                return False
            minute = int(at.timestamp() // 60)
            for key in [key for key in self._traces if key[1] < minute]:
                del self._traces[key]
            self._traces[source, minute] += 1
            return self._traces[source, minute] <= TRACES_PER_MINUTE

    def undeclared(self, source: str, at: datetime, names: Sequence[str]) -> None:
        """Count the fields of one post that its form does not declare."""
        if names:
            with self._lock:
                self._news_of(source).undeclared.note(names, at)

    def flush(self) -> None:
        """Write the counts since the last flush; if that fails, they are lost and logged."""
        with self._lock:
            news, self._news = self._news, {}
        if not news:
            return
        try:
            with self._store.write() as connection:
                add_up(connection, news)
        except SQLAlchemyError:
            log.warning("counts of %d sources could not be written and are lost", len(news))

    def _news_of(self, source: str) -> SourceNews:
        if not self._started:
            self._started = True
            atexit.register(self.flush)
            threading.Thread(target=self._run, name="source-counters", daemon=True).start()
        news = self._news.get(source)
        if news is None:
            news = self._news[source] = SourceNews()
        return news

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_EVERY_S):
            self.flush()
