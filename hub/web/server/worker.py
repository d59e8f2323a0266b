"""Worker class for gunicorn: buffers each request until it is complete, then gives it a thread.

gunicorn gives a thread to every connection, so that eight senders of half a header stop the hub;
and it waits for those that it has answered in the one loop that accepts all others. Here requests
are collected, and connections ended, beside the threads. What is not HTTP is answered in the
hub's words, and neither logged nor sent back: a header or an address may hold a secret.
"""

import gc
import logging
import socket
import time
from typing import Any

from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]

from hub.web.server.arrival import Arrival
from hub.web.server.express import ExpressWorker
from hub.web.server.keeping import unblock
from hub.web.server.wire import refusal_bytes
from hub.web.webhooks import late_status, note_refusal

ARRIVE_WITHIN_S = 15
UNREAD_S = 0.03
# What all requests on their way in may take of the memory; beyond it, threads wait for them.
HELD_MOST_BYTES = 64 * 1024 * 1024
READ_BYTES = 64 * 1024

_OURS = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)
_TOO_LARGE = (LimitRequestHeaders, LimitRequestLine)

log = logging.getLogger(__name__)


class Worker(ExpressWorker):
    """A gthread worker whose loop collects requests before a thread takes them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arriving: dict[TConn, Arrival] = {}  # in the order of their deadlines
        self._held_bytes = 0

    def load_wsgi(self) -> None:
        """Load the application, and exempt its objects from garbage collection (`gc.freeze`)."""
        super().load_wsgi()
        gc.freeze()

    def enqueue_req(self, conn: TConn) -> None:
        """Wait for a new connection's request, or for the next one on a kept connection."""
        arrival = Arrival(time.monotonic() + ARRIVE_WITHIN_S)
        if conn.parser is not None:
            arrival.add(conn.parser.unreader.take_buffered())
            self._held_bytes += len(arrival.data)
        unblock(conn)
        self._arriving[conn] = arrival
        self._on_more(conn, conn.sock)  # mostly it is there already
        if conn in self._arriving:
            self.watch(conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Return whether to keep a connection: no, if the rest of its body takes over `UNREAD_S`.

        A thread must not wait for a body that the application did not read.
        """
        until = time.monotonic() + UNREAD_S
        return keepalive and bool(conn.parser.finish_body(deadline=until))

    def murder_pending(self) -> None:
        """Refuse requests that have not arrived by their deadline, in every turn of the loop."""
        super().murder_pending()
        now = time.monotonic()
        for conn, arrival in list(self._arriving.items()):
            is_late = arrival.deadline_s <= now
            if self.alive and not is_late:
                break
            if is_late or not arrival.data:
                self._forget(conn)
                if arrival.data:
                    self._refuse(conn, self._late_status(arrival))
                else:
                    self.close(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that is not HTTP, or that failed outside the application."""
        status = status_of(exc)
        path = getattr(getattr(exc, "req", None), "path", None)
        if path:
            note_refusal(self.wsgi, path, status)
        if status == 500:
            log.error("a request failed outside the application: %s", type(exc).__name__)
        else:
            log.warning("refused with %d what is not HTTP: %s", status, type(exc).__name__)
        try:
            write_nonblock(client, refusal_bytes(status))
        except OSError:
            log.debug("nobody waited for the answer")

    def on_readable(self, conn: TConn, sock: socket.socket) -> None:
        """Process a connection that has become readable."""
        if conn in self._arriving:
            self._on_more(conn, sock)
        else:
            super().on_readable(conn, sock)

    def _on_more(self, conn: TConn, sock: socket.socket) -> None:
        arrival = self._arriving[conn]
        ended = False
        if not arrival.is_whole:
            try:
                data = sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._forget(conn)
                self.close(conn)
                return
            ended = not data
            self._held_bytes += len(data)
            arrival.add(data)
        is_full = self._held_bytes > HELD_MOST_BYTES
        if arrival.head_is_too_large:
            self._forget(conn)
            self._refuse(conn, 431)
        elif arrival.is_whole or (arrival.has_head and (ended or is_full)):
            self._hand_over(conn, arrival)
        elif ended or is_full:
            self._forget(conn)
            self.close(conn)
        elif arrival.awaits_continue:
            self._say_continue(conn, arrival)

    def _hand_over(self, conn: TConn, arrival: Arrival) -> None:
        self._forget(conn)
        self.answering.add(conn)
        if not self.takes_express(conn, arrival):
            self.take_in_thread(conn, bytes(arrival.data))

    def _say_continue(self, conn: TConn, arrival: Arrival) -> None:
        self._held_bytes -= arrival.promise_continue()
        try:
            conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            self._forget(conn)
            self.close(conn)

    def _refuse(self, conn: TConn, status: int) -> None:
        log.info("refused with %d a request that did not arrive", status)
        try:
            conn.sock.send(refusal_bytes(status))
        except OSError:
            self.close(conn)
        else:
            self.leave(conn)

    def _late_status(self, arrival: Arrival) -> int:
        words = bytes(arrival.data[:READ_BYTES]).split(b" ", 2) if arrival.has_head else []
        path = words[1].partition(b"?")[0].decode("latin-1") if len(words) == 3 else ""
        return late_status(self.wsgi, path)

    def _forget(self, conn: TConn) -> None:
        arrival = self._arriving.pop(conn, None)
        if arrival is not None:
            self._held_bytes -= len(arrival.data)


def status_of(error: Exception) -> int:
    """Return the status for a request that the server could not process: 400, 431, or 500."""
    if isinstance(error, _OURS) or not isinstance(error, ParseException):
        return 500
    return 431 if isinstance(error, _TOO_LARGE) else 400
