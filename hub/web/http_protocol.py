"""HTTP protocol of the web server: uvicorn's, with limits for clients that keep it waiting.

uvicorn waits for ever for the rest of a head, of any length, of a chunk's framing, and for a client
that reads nothing; it queues any number of requests. Here a head has at most `HEAD_MOST_BYTES`, as
has the framing of a body; trailers are dropped. `hub.web.connections` has the deadlines of heads
and closes connections that are too many.
What is not HTTP is answered in the hub's words and counted; neither logged nor sent back, since a
header or an address may hold a secret. Bodies are limited by `hub.web.body_reader`.
"""

import asyncio
import logging
import re
from collections import deque
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hub.web.connections import Connections
from hub.web.errors import error_reply, headers_of
from hub.web.request_head import CONNECTION

HEAD_MOST_BYTES = 64 * 1024
# Empty lines before a request (RFC 9112, 2.2: one is to be ignored).
EMPTY_MOST_BYTES = 2
# Framing of a chunked body, for each of its bytes: a chunk of one byte has five.
FRAMING_PER_BYTE = 6
# How long a refused connection stays open, so that its peer can read why.
LINGER_S = 2
# Requests that may wait on one connection for the answers to those before them, and how much they
# may be; the last of them counts too, as far as it has come.
PIPELINE_MOST = 100
PIPELINE_MOST_BYTES = 64 * 1024
# How long a client may take to read what waits to be sent to it: 64 KiB, or a response.
READ_WITHIN_S = 15
# Trailers that say what only a head may say (RFC 9110, 6.5.1).
FORBIDDEN_TRAILERS = frozenset({b"host", b"content-length", b"transfer-encoding"})

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)

log = logging.getLogger(__name__)


class MalformedRequest(Exception):
    """Request that a callback of the parser does not take; the parser stops, and it is refused."""


class _Trailers(list[tuple[bytes, bytes]]):
    """List of trailers that keeps none."""

    def append(self, field: tuple[bytes, bytes]) -> None:
        if field[0] in FORBIDDEN_TRAILERS:
            raise MalformedRequest


_TRAILERS = _Trailers()


class GuardedProtocol(HttpToolsProtocol):
    """Connection of uvicorn with limits; an `asyncio.Protocol` and a callback of httptools."""

    def __init__(self, guard: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard
        self.url = b""
        self._in_head = True
        self._has_begun = False
        # Bytes of the head so far; behind it, of framing that its body does not account for.
        self._unread = 0
        self.is_refused = False
        # When the first byte of the request came, on the loop's clock.
        self._begun_s = 0.0
        # Requests whose heads are complete, and whose responses are not; the first is being
        # answered, the others wait in `pipeline`.
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._waiting_bytes: deque[int] = deque()  # of each in `pipeline`
        # Set while more waits to be sent than the transport takes.
        self._unsent: asyncio.TimerHandle | None = None

    @property
    def keeps_waiting(self) -> bool:
        """Return whether the client is to act next: to send, to read, or to ask again."""
        is_unread = self._unsent is not None
        return self.is_refused or self._has_begun or is_unread or not self._unanswered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._guard.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.remove(self)
        self._stop_unsent()
        if self._unanswered:  # uvicorn tells the last one alone
            _tell_disconnected(self._unanswered[0])
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        self._guard.heard(self)
        if self._in_head and (b"pgrade:" in data or b"PGRADE:" in data):
            data = _without_upgrade(data)
        self._unread += len(data)
        super().data_received(data)
        if self._in_head and not self._has_begun and self._unread > EMPTY_MOST_BYTES:
            self.refuse(400)
        elif self._unread > HEAD_MOST_BYTES:
            self.refuse(431 if self._in_head else 400)
        elif self._in_head and (self._has_begun or self._unread):
            self._guard.await_head(self)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has arrived whole; refuse half a request. The transport stays open."""
        if self.is_refused:
            if not self._unanswered:
                self.transport.close()
        elif self._has_begun:
            self.refuse(400, lingers=False)
        else:
            self.shutdown()
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun = True
        self._begun_s = self.loop.time()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINE_MOST or self.parser.should_upgrade():
            raise MalformedRequest
        self._guard.has_head(self)
        self.scope["extensions"] = {
            CONNECTION: {
                "target": self.url,
                "is_closing": self.transport.is_closing,
                "has_arrived": self._has_arrived,
                "begun_s": self._begun_s,
            }
        }
        super().on_headers_complete()
        self._in_head, self._unread = False, 0
        self._unanswered.append(self.cycle)
        if self.pipeline:
            self._note_waiting(sum(len(name) + len(value) for name, value in self.headers))
        self.headers = _TRAILERS  # what comes now would be added to those of the head

    def on_body(self, body: bytes) -> None:
        self._unread -= FRAMING_PER_BYTE * len(body)
        super().on_body(body)
        if self.pipeline:
            self._note_waiting(len(body))

    def on_message_complete(self) -> None:
        self._in_head, self._has_begun, self._unread = True, False, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        if self._waiting_bytes:
            self._waiting_bytes.popleft()
        super().on_response_complete()
        if self.is_refused and not self._unanswered:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        if not self._has_begun:  # a head that has begun has a deadline of its own
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_unsent()
        super().resume_writing()

    def _stop_unsent(self) -> None:
        if self._unsent is not None:
            self._unsent.cancel()
            self._unsent = None

    def send_400_response(self, msg: str) -> None:
        self.refuse(400)

    def give_way(self) -> None:
        """Close the connection, so that there is room for another."""
        if self.is_refused or self._unsent is not None:
            self.transport.abort()
        else:
            self.refuse(503, lingers=False)

    def refuse(self, status: int, *, lingers: bool = True) -> None:
        """Answer a request that will not be whole, if it has begun, and close the connection.

        Requests before it are answered first; it is then dropped without an answer.
        """
        if self.is_refused:
            return
        self.is_refused = True
        self._guard.has_head(self)
        if self._has_begun:
            log.debug("refused with %d what is not a whole request", status)
        if not self._in_head and not self.cycle.response_started:
            self._guard.note_refusal(self._path, status)
        if self.pipeline:
            if not self._in_head:
                self.pipeline.popleft()
                self._unanswered.pop()
            return
        if self._in_head and self._unanswered:
            self.shutdown()
            return
        if self._in_head and (self._has_begun or self._unread > 0):
            self._guard.note_refusal(self._path, status)
            self.transport.write(_refusal(status))
        elif not self._in_head and not self.cycle.response_started:
            _tell_disconnected(self.cycle)
            self._unanswered.clear()
            self.transport.write(_refusal(status))
        else:
            lingers = False
        if lingers:
            self.loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _note_waiting(self, size: int) -> None:
        """Count so many bytes of the last request, which waits for the answers to those before.

        Raises:
            MalformedRequest: too much waits.
        """
        if len(self._waiting_bytes) < len(self.pipeline):
            self._waiting_bytes.append(0)
        self._waiting_bytes[-1] += size
        if sum(self._waiting_bytes) > PIPELINE_MOST_BYTES:
            raise MalformedRequest

    @property
    def _path(self) -> str:
        return self.url.partition(b"?")[0].decode("latin-1")

    def _has_arrived(self) -> bool:
        return not self._has_begun


def _tell_disconnected(cycle: RequestResponseCycle) -> None:
    """Let the application hear that nobody waits for its answer to a request any more."""
    cycle.disconnected = True
    cycle.message_event.set()


def _without_upgrade(data: bytes) -> bytes:
    """Return the beginning of a request without its `Upgrade` field, which a server may ignore.

    The parser takes what follows such a head for another protocol, also where it is a body.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head) + end + rest


def _refusal(status: int) -> bytes:
    reply = error_reply(status)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in headers_of(reply)),
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body
