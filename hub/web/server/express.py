"""Fast path of the server: webhooks are stored in batches in the loop, without a thread.

It takes requests apart one after the other, has what they bring written in one go, and answers
when the database says so; meanwhile it begins with the next ones. No thread is in another's way
then. Whatever is out of the ordinary, or would have to wait, goes to the threads.
"""

import errno
import logging
import socket
import struct
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from hub.web.express import FastPath
from hub.web.receiver import GROUP_MOST, GROUP_MOST_BYTES
from hub.web.server.arrival import Arrival
from hub.web.server.head import read_head
from hub.web.server.keeping import KeepingWorker
from hub.web.server.ways import ConnectionPool, PendingResponse
from hub.web.server.wire import answer_bytes

# What is larger takes a thread: reading it would keep all others waiting.
EXPRESS_MOST_BYTES = 32 * 1024
# Nor what has more commas: a list of so many items takes 40 ms to read.
MOST_PARTS = 2000
# How long it begins with more before it writes what it has.
GATHER_S = 0.005
# How long a thread waits for a peer that reads nothing of its answer.
READ_WITHIN_S = 5
_SEND_TIMEOUT = struct.pack("ll", READ_WITHIN_S, 0)
_START = b"POST /webhooks/"

log = logging.getLogger(__name__)


class ExpressWorker(KeepingWorker):
    """A worker whose loop stores webhooks itself, as long as the database is prompt."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ways: ConnectionPool | None = None
        self._ready: list[tuple[TConn, bytes, bytes]] = []
        self._begun: list[PendingResponse] = []

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        express: FastPath | None = getattr(self.wsgi, "extensions", {}).get("hub_fast_path")
        if express is not None:
            self._express = express
            self._ways = ConnectionPool(
                express, self.poller, self.tpool, self.method_queue, self._on_written
            )

    def takes_express(self, conn: TConn, arrival: Arrival) -> bool:
        """Queue a request for the fast path if it qualifies; return whether it was queued."""
        if self._ways is None or not self.alive or not arrival.is_complete:
            return False
        data = arrival.data
        if len(data) > EXPRESS_MOST_BYTES or not data.startswith(_START):
            return False
        if data.count(b",") > MOST_PARTS:
            return False
        self._ways.open_when_due()
        if self._ways.are_open:
            self._ready.append((conn, *arrival.parts()))
        return self._ways.are_open

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for socket events, then process the queued requests and write the batch."""
        if self._ways is None:
            super().wait_for_and_dispatch_events(timeout)
            return
        super().wait_for_and_dispatch_events(0 if self._ready else self._ways.left_s(timeout))
        gather_until_s = time.monotonic() + GATHER_S
        while self._ready:
            ready, self._ready = self._ready, []
            for conn, head, body in ready:
                self._begin(conn, head, body)
            if len(self._begun) >= GROUP_MOST or time.monotonic() >= gather_until_s:
                break
            super().wait_for_and_dispatch_events(0)  # what came meanwhile goes with them
        self._ways.look_for_late()
        self._write(self._ways)

    def _begin(self, conn: TConn, head: bytes, body: bytes) -> None:
        taken, keep = None, False
        try:
            if read := read_head(head):
                taken, keep = self._express.begin(read, body), read.keep
        except Exception as error:  # noqa: BLE001 - a thread will meet it again, and answer
            log.debug("not the short way: %s", type(error).__name__)
        if taken is None or taken.weight > GROUP_MOST_BYTES:
            self.take_in_thread(conn, head + body)
        else:
            keep = keep and len(self.keepalived_conns) < self.max_keepalived
            self._begun.append(PendingResponse(taken, conn, keep))

    def _write(self, ways: ConnectionPool) -> None:
        while self._begun and ways.has_free:
            size, weight = 0, 0
            for exchange in self._begun[:GROUP_MOST]:
                weight += exchange.taken.weight
                if weight > GROUP_MOST_BYTES:
                    break
                size += 1
            together, self._begun = self._begun[:size], self._begun[size:]
            ways.write(together)
        if self._begun and not ways.are_open:
            begun, self._begun = self._begun, []
            self._on_written(begun)

    def _on_written(self, exchanges: Sequence[PendingResponse]) -> None:
        for exchange in exchanges:
            if exchange.taken.is_stored:
                self.end_exchange(exchange.conn, keep=self._answer(exchange))
            else:
                _wait_at_most(exchange.conn)
                self.tpool.submit(self._answer_in_thread, exchange)

    def _answer_in_thread(self, exchange: PendingResponse) -> None:
        keep = False
        try:
            keep = self._answer(exchange)
        finally:
            self.method_queue.defer(partial(self.end_exchange, exchange.conn, keep=keep))

    def _answer(self, exchange: PendingResponse) -> bool:
        """Answer; return whether the connection may be kept."""
        keep = exchange.keep and self.alive
        try:
            status, headers, body = self._express.answer(exchange.taken)
            exchange.conn.sock.sendall(answer_bytes(status, headers, body, keep=keep))
        except OSError:
            log.debug("nobody waited for the answer")
            return False
        except Exception as error:  # noqa: BLE001 - the loop goes on for all others
            log.error("an answer could not be sent: %s", type(error).__name__)
            return False
        return keep

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Handle a request in a thread; a peer that does not read the answer is disconnected."""
        _wait_at_most(conn)
        try:
            return bool(super().handle_request(req, conn))
        except BlockingIOError as error:
            raise BrokenPipeError(errno.EPIPE, "the answer was not read") from error

    def take_in_thread(self, conn: TConn, data: bytes) -> None:
        """Hand any request to a thread of the pool."""
        self.unwatch(conn)  # gunicorn may close it there, and its number come again meanwhile
        conn.data_ready = True
        conn.init()
        conn.parser.unreader.unread(data)
        ThreadWorker.enqueue_req(self, conn)


def _wait_at_most(conn: TConn) -> None:
    """Make a connection's socket blocking, with a send timeout."""
    conn.sock.setblocking(True)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
