"""Keep-alive connections: watched between requests, and closed, by the loop.

gunicorn watches a connection anew for each request; here it stays watched while the loop has it.
And what is not kept is ended in the loop, without waiting for its peer.
"""

import socket
import time
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]

from hub.web.server.sharing import SharingWorker

LEAVE_WITHIN_S = 2
REST_BYTES = 64 * 1024


class KeepingWorker(SharingWorker):
    """A gthread worker that keeps and ends connections by itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watched: set[TConn] = set()
        self._leaving: dict[TConn, float] = {}  # in the order of their deadlines

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Keep or end a connection whose request a thread has answered."""
        is_done = not fs.cancelled() and fs.exception() is None
        self.end_exchange(conn, keep=is_done and fs.result() is True)

    def end_exchange(self, conn: TConn, *, keep: bool) -> None:
        """Keep the connection alive, or close it without waiting for its peer."""
        self.answering.discard(conn)
        if not keep:
            self.leave(conn)
        elif conn.parser is not None and conn.parser.unreader.buf.getvalue():
            self.enqueue_req(conn)  # the next request has come behind this one
        else:
            unblock(conn)
            conn.set_timeout()
            if not self.alive:
                conn.timeout = min(conn.timeout, time.monotonic() + LEAVE_WITHIN_S)
            self.keepalived_conns.append(conn)
            self.watch(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close kept connections whose time is over."""
        now_s = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= now_s):
            self.close(self.keepalived_conns.popleft())

    def murder_pending(self) -> None:
        """Close ended connections whose time is over, even if the peer has not read everything."""
        now_s = time.monotonic()
        while self._leaving and self._leaving[first := next(iter(self._leaving))] <= now_s:
            self.close(first)

    def watch(self, conn: TConn) -> None:
        """Register a connection's socket with the poller."""
        if conn not in self._watched:
            self._watched.add(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_readable, conn))

    def unwatch(self, conn: TConn) -> None:
        """Remove a connection's socket from the poller."""
        if conn in self._watched:
            self._watched.discard(conn)
            self.poller.unregister(conn.sock)

    def on_readable(self, conn: TConn, sock: socket.socket) -> None:
        """Process a connection that has become readable, or that its peer has closed."""
        if conn not in self._watched:
            return  # it was closed by another event of the same moment
        if conn in self._leaving:
            self._on_rest(conn, sock)
        elif conn in self.answering:
            self.unwatch(conn)  # what comes behind its request waits in the socket
        else:  # what is watched and nothing else is kept
            self.keepalived_conns.remove(conn)
            self.enqueue_req(conn)

    def close(self, conn: TConn) -> None:
        """Close a connection."""
        self._leaving.pop(conn, None)
        self.unwatch(conn)
        self.nr_conns -= 1
        conn.close()

    def leave(self, conn: TConn) -> None:
        """Shut down the sending side, and read on for a while, so that the answer is not lost.

        Closing while the peer still sends would reset the connection (RFC 9112, 9.6).
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(conn)
            return
        unblock(conn)
        self._leaving[conn] = time.monotonic() + LEAVE_WITHIN_S
        self.watch(conn)

    def _on_rest(self, conn: TConn, sock: socket.socket) -> None:
        try:
            data = sock.recv(REST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(conn)


def unblock(conn: TConn) -> None:
    """Make a connection's socket non-blocking."""
    if conn.sock.getblocking():
        conn.sock.setblocking(False)
