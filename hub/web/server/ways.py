"""Database lines of the server's loop, and the webhooks that are being written on each.

They are opened by a thread, since that takes time. One that is late or broken is closed with the
others, and for a while there is none: then threads do what the loop would have done.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import Any

from gunicorn.workers.gthread import PollableMethodQueue, TConn  # type: ignore[import-untyped]

from hub.gateways.line import Line, LineError, StatementError
from hub.web.express import FastPath, PendingWebhook

# While one waits for the disk, the other one works; a third brought nothing.
LINES = 2
# How long a write may take.
PATIENCE_S = 0.25
# How long there is no line after one was late or broke, and after one could not be opened.
REST_S, REST_AFTER_FAILURE_S = 1.0, 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class PendingResponse:
    """A webhook, the connection for its answer, and whether that may be kept afterwards."""

    taken: PendingWebhook
    conn: TConn
    keep: bool


@dataclass(slots=True, eq=False)
class PipelinedConnection:
    """A database line, the webhooks being written on it, and their deadline (monotonic)."""

    line: Line
    written: Sequence[PendingResponse] = ()
    late_s: float = 0.0
    events: int = EVENT_READ


@dataclass
class ConnectionPool:
    """Database lines for one loop, on its `poller`; threads call into the loop through `later`.

    `on_written` hears what a write came to: what was `taken` knows its new events, or not.
    """

    express: FastPath
    poller: BaseSelector
    threads: Executor
    later: PollableMethodQueue
    on_written: Callable[[Sequence[PendingResponse]], None]
    _ways: list[PipelinedConnection] = field(default_factory=list)
    _open_from_s: float = 0.0
    _is_opening: bool = False
    _is_failing: bool = False

    @property
    def are_open(self) -> bool:
        """Return whether any line is open."""
        return bool(self._ways)

    def open_when_due(self) -> None:
        """Open lines in a thread, if none is open and the pause after a failure is over."""
        if not self._ways and not self._is_opening and time.monotonic() >= self._open_from_s:
            self._is_opening = True
            self.threads.submit(self._open)

    @property
    def has_free(self) -> bool:
        """Return whether a line is free, so that `write` may be called."""
        return any(not way.written for way in self._ways)

    def left_s(self, most_s: float) -> float:
        """Return how long to wait for events before `look_for_late`: `most_s` or less."""
        late_s = min((way.late_s for way in self._ways if way.written), default=None)
        return most_s if late_s is None else min(most_s, max(0.0, late_s - time.monotonic()))

    def write(self, together: Sequence[PendingResponse]) -> None:
        """Write webhooks on a free line, in one statement."""
        way = next(way for way in self._ways if not way.written)
        way.written = together
        way.late_s = time.monotonic() + PATIENCE_S
        try:
            self.express.send(way.line, [exchange.taken for exchange in together])
        except LineError:
            self.close("a line to the database broke")
        except Exception as error:  # noqa: BLE001 - one of them is to blame, and not for the others
            log.info("webhooks that cannot be written together: %s", type(error).__name__)
            way.written = ()
            self.on_written(together)
        else:
            self._watch(way)

    def look_for_late(self) -> None:
        """Close all lines if a write on one has passed its deadline."""
        now_s = time.monotonic()
        if any(way.written and now_s > way.late_s for way in self._ways):
            self.close("the database took too long for a write")

    def close(self, why: str) -> None:
        """Close all lines; webhooks being written on them may be stored, or not."""
        log.info("threads take webhooks in for a while: %s", why)
        self._open_from_s = time.monotonic() + REST_S
        ways, self._ways = self._ways, []
        for way in ways:
            self.poller.unregister(way.line)
            way.line.close()
        for way in ways:
            self.on_written(way.written)

    def _on_event(self, way: PipelinedConnection, _: Any) -> None:
        if way not in self._ways:
            return  # it was closed by another event of the same moment
        new_ids: list[bytes] | None = None
        try:
            new_ids = way.line.receive()
            if new_ids is not None:
                self.express.note([exchange.taken for exchange in way.written], new_ids)
        except StatementError:
            log.info("the database refused %d webhooks together", len(way.written))
        except LineError:
            self.close("a line to the database broke")
            return
        else:
            self._watch(way)
            if new_ids is None:
                return
        written, way.written = way.written, ()
        self._watch(way)
        self.on_written(written)

    def _watch(self, way: PipelinedConnection) -> None:
        events = EVENT_READ | EVENT_WRITE if way.line.is_sending else EVENT_READ
        if way.events != events:
            way.events = events
            self.poller.modify(way.line, events, partial(self._on_event, way))

    def _open(self) -> None:
        lines: list[Line] = []
        try:
            for _ in range(LINES):
                lines.append(self.express.open_line())
        except Exception as error:  # noqa: BLE001 - a thread of the pool tells nobody
            level = logging.DEBUG if self._is_failing else logging.WARNING
            cause = type(error.__cause__ or error).__name__
            log.log(level, "threads take webhooks in: the loop gets no line (%s)", cause)
            self._is_failing = True
            for line in lines:
                line.close()
            self._open_from_s = time.monotonic() + REST_AFTER_FAILURE_S
            self._is_opening = False
        else:
            self.later.defer(self._take, lines)

    def _take(self, lines: Sequence[Line]) -> None:
        self._is_opening = self._is_failing = False
        self._ways = [PipelinedConnection(line) for line in lines]
        for way in self._ways:
            self.poller.register(way.line, EVENT_READ, partial(self._on_event, way))
