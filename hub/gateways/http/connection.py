"""Connections for urllib3, pinned to checked IP addresses and bounded by their call's deadline.

`requests` restarts its read time-out with every byte, so a server that trickles could hold a
thread for ever. Here each read and write of a socket may only take the remaining time of its call.
Every failure before the request's first byte raises `NotSent` directly, so that the progress of a
call need not be guessed from a chain of wrapped errors.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from adapters import NotSent
from hub.gateways.http import ssrf_guard

# A pooled connection that was idle for longer is not reused: the server may be closing it.
MAX_IDLE_S = 15


@dataclass(slots=True)
class CallDeadline:
    """Deadline of one call in progress, and whether a byte of its request was sent."""

    deadline: float
    connect_timeout_s: float
    allow_private: bool
    sent: bool = False

    def left_s(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the call's time is over")
        return left_s

    def connect_s(self) -> float:
        return min(self.connect_timeout_s, self.left_s())


class _Thread(threading.local):
    deadline: CallDeadline


_thread = _Thread()


@contextmanager
def call_deadline(call: CallDeadline) -> Iterator[None]:
    """Apply the deadline of `call` to this thread's sockets inside the block."""
    _thread.deadline = call
    try:
        yield
    finally:
        del _thread.deadline


class _Socket(socket.socket):
    def recv_into(self, *args: Any) -> int:
        self.settimeout(_thread.deadline.left_s())
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(_thread.deadline.left_s())
        _thread.deadline.sent = True
        super().sendall(*args)


class _TLSSocket(ssl.SSLSocket):
    """TLS socket with a deadline: `sendall` calls `send` for every piece; a handshake neither."""

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_thread.deadline.left_s())
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        self.settimeout(_thread.deadline.left_s())
        _thread.deadline.sent = True
        return super().send(*args)


@cache
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return the TLS context that trusts `ca_file`.

    Cached, because each copy takes half a megabyte, and every destination would have one.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TLSSocket
    return context


def _connect(host: str, port: int, *, encrypted: bool) -> socket.socket:
    """Return a socket to the first address of `host` that accepts the connection.

    Raises:
        NotSent: the host is refused or not found, or no address accepts the connection.
    """
    call = _thread.deadline
    try:
        found = ssrf_guard.resolve(
            host,
            port,
            timeout_s=call.left_s(),
            encrypted=encrypted,
            private=call.allow_private,
        )
    except (ssrf_guard.HostNotFound, ssrf_guard.AddressRefused) as error:
        raise NotSent(str(error)) from None
    reason = ""
    for family, address in found:
        try:
            return _connect_to(family, address)
        except TimeoutError:
            reason = "did not take the connection in time"
        except ConnectionRefusedError:
            reason = "refused the connection"
        except OSError as error:
            reason = f"cannot be reached ({error.strerror or 'network error'})"
    raise NotSent(f"{host}: {reason}")


def _connect_to(family: int, address: Any) -> socket.socket:
    sock = _Socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_thread.deadline.connect_s())
        sock.connect(address)
        sock.settimeout(_thread.deadline.connect_s())
    except OSError:
        sock.close()
        raise
    return sock


class _Lines:
    """Stream of a response head that raises if the head ends before its empty line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(limit)
        if not line:
            raise http.client.RemoteDisconnected("the head of the answer is cut")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Response(http.client.HTTPResponse):
    """Response that rejects a truncated head.

    `http.client` accepts one as complete: a bare `200 OK` would count as a success.
    """

    def begin(self) -> None:
        stream = self.fp
        self.fp = _Lines(stream)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream


class _PlainConnection(HTTPConnection):
    response_class = _Response
    idle_since: float = 0

    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port or 80, encrypted=False)


class _TLSConnection(HTTPSConnection):
    response_class = _Response
    idle_since: float = 0

    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port or 443, encrypted=True)

    def connect(self) -> None:
        try:
            super().connect()
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not accepted ({error.verify_message})"
        except (TimeoutError, ssl.SSLZeroReturnError, ConnectionError):
            reason = "the TLS handshake was not finished"
        except (OSError, HTTPError, ValueError):
            reason = "the TLS handshake failed"
        else:
            return
        self.close()
        raise NotSent(f"{self.host}: {reason}")


class _FreshPool(HTTPConnectionPool):
    """Connection pool that reuses no long-idle connection; urllib3 drops those found closed."""

    ConnectionCls: type[Any] = _PlainConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        rested_s = time.monotonic() - connection.idle_since
        if connection.sock is not None and rested_s > MAX_IDLE_S:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTLSPool(_FreshPool, HTTPSConnectionPool):
    scheme = "https"
    ConnectionCls = _TLSConnection


POOLS = {"http": _FreshPool, "https": _FreshTLSPool}
