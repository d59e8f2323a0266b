"""Threads of Flask behind an ASGI server: they get whole requests, and never wait for a client.

a2wsgi calls the application. Here the body is at hand before the call, and the response is taken
whole before its first byte is sent: in memory, or in a file if it is large. Dear requests, which
hash a password, take half of the threads at most; the others of them wait in the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager, nullcontext, suppress
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask

from hub.web.body_reader import Receive
from hub.web.request_head import Head
from hub.web.request_reader import REFUSED

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Responses up to this size wait in memory until they are sent, larger ones in a file.
SPOOL_BYTES = 1024 * 1024
PIECE_BYTES = 64 * 1024
# How long the rest of a refused body is read and dropped, so that its sender hears why.
LINGER_S = 2
# How long a dear request waits for a thread; after that the application refuses it, with 429.
DEAR_WITHIN_S = 10


class FlaskThreads:
    """Flask application, called in that many threads; `is_dear` says which requests are dear."""

    def __init__(
        self,
        app: Flask,
        threads: int,
        is_dear: Callable[[Head], bool] = lambda head: False,
        *,
        dear_within_s: float = DEAR_WITHIN_S,
    ) -> None:
        call: Any = WSGIMiddleware(_with_whole_body(app), workers=threads)
        self._call: AsgiApp = call
        self._is_dear = is_dear
        self._dear_within_s = dear_within_s
        self._dear = asyncio.Semaphore(max(1, threads // 2))

    async def answer(self, scope: Scope, head: Head, body: bytes, send: Send) -> None:
        """Answer a request whose body has been read."""
        await self._answer(scope, head, body, None, send)

    async def refuse(
        self, scope: Scope, head: Head, status: int | None, receive: Receive, send: Send
    ) -> None:
        """Answer a request whose body is not read to its end, and close the connection.

        `status` None leaves it to the application: nobody takes a body at that address.
        """
        await self._answer(scope, head, b"", status, lingering(receive, send))

    @asynccontextmanager
    async def _dear_thread(self) -> AsyncIterator[bool]:
        """Hold one of the threads for dear requests; yield whether there was one in time."""
        try:
            async with asyncio.timeout(self._dear_within_s):
                await self._dear.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self._dear.release()

    async def _answer(
        self, scope: Scope, head: Head, body: bytes, refused: int | None, send: Send
    ) -> None:
        whole = {
            **scope,
            "headers": head.fields,
            # a2wsgi takes ASCII alone; another address is refused (`read_head`).
            "query_string": scope["query_string"] if head.target.isascii() else b"",
            "hub.raw_uri": head.target,
            "hub.body": body,
            REFUSED: refused,
        }
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            start: Message = {}
            failures: list[OSError] = []

            async def keep(message: Message) -> None:
                if message["type"] == "http.response.start":
                    start.update(message)
                elif not failures:
                    try:
                        spool.write(message.get("body", b""))
                    except OSError as error:  # raised here it would leave the thread waiting
                        failures.append(error)

            is_dear = refused is None and self._is_dear(head)
            async with (
                self._dear_thread() if is_dear else nullcontext(enter_result=True) as has_one
            ):
                if not has_one:
                    whole[REFUSED] = 429
                await self._call(whole, _no_more_body, keep)
            if failures:
                raise failures[0]
            await send(start)
            left = spool.tell()
            spool.seek(0)
            while left > PIECE_BYTES:
                left -= PIECE_BYTES
                piece = spool.read(PIECE_BYTES)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": spool.read()})


def closing(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a response after which the connection is closed."""
    kept = [field for field in fields if field[0].lower() != b"connection"]
    return [*kept, (b"connection", b"close")]


def lingering(receive: Receive, send: Send) -> Send:
    """Return a function that sends a response whose request is not read to its end.

    What still comes of the body is dropped for a while: a connection that is closed with unread
    bytes is reset, and its peer may lose the answer.
    """

    async def send_and_linger(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = closing(message["headers"])
        elif not message.get("more_body", False):
            await send({**message, "more_body": True})
            await _drop_body(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return send_and_linger


async def _no_more_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _drop_body(receive: Receive) -> None:
    """Read and drop the rest of a body, for `LINGER_S` at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await receive()).get("more_body", False):
                pass


def _with_whole_body(app: Flask) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that gives `app` the body, and the address as it arrived."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = environ["asgi.scope"]
        environ["wsgi.input"] = BytesIO(scope["hub.body"])
        environ["wsgi.input_terminated"] = True
        environ["RAW_URI"] = scope["hub.raw_uri"]
        environ[REFUSED] = scope[REFUSED]
        return app(environ, start_response)

    return call
