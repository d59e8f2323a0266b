"""Body reader: collects whole bodies from an ASGI server, under a deadline and a byte budget.

Half bodies of all connections together may take `BUDGET_BYTES` of a process's memory. Beyond that
the one that has not got on for longest gives way, so that a crowd of senders who stop in the
middle, or send a byte now and then, cannot keep out one who goes on. A body that arrives in one
piece takes nothing of it. Whole ones that wait to be answered may take as much again; beyond that
they are refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

BUDGET_BYTES = 64 * 1024 * 1024
# Whole bodies up to this size are not counted: the number of connections bounds them.
SMALL_BYTES = 32 * 1024
# How much of a body has to come until it counts as getting on.
STRIDE_BYTES = 16 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyRefused(Exception):
    """Body that is not read to its end. `status` is that of the refusal; None: of no address."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class Disconnected(Exception):
    """Connection that was closed before the end of its request; there is nobody to answer."""


class _HalfBody:
    """Bytes of one body so far, and the deadline that ends the wait for more."""

    __slots__ = ("data", "deadline", "gives_way", "strides")

    def __init__(self, deadline: asyncio.Timeout) -> None:
        self.data = bytearray()
        self.deadline = deadline
        self.gives_way = False
        self.strides = -1  # that it has made so far


class BodyReader:
    """Reader of one event loop, for all of its connections."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._held_bytes = 0
        self._whole_bytes = 0
        # In the order in which they last got on: the first has stood still for longest.
        self._halves: dict[_HalfBody, None] = {}

    async def read(
        self,
        receive: Receive,
        *,
        most_bytes: int,
        within_s: float,
        silent_s: float,
        begun_s: float | None = None,
        has_arrived: bool = False,
    ) -> bytes:
        """Return a whole body of at most `most_bytes`; one that `has_arrived` needs no deadline.

        `begun_s` is when the request began, on the loop's clock; None is now.

        Raises:
            BodyRefused: it is longer (413); it is not whole `within_s` after its request began, or
                its sender is silent for `silent_s` (408); it gave way to others (503).
            Disconnected: its sender has gone.
        """
        if has_arrived:
            whole, _ = await _piece(receive)
            if len(whole) > most_bytes:
                raise BodyRefused(413)
            return whole
        now_s = asyncio.get_running_loop().time()
        until_s = (now_s if begun_s is None else begun_s) + within_s
        half: _HalfBody | None = None
        try:
            async with asyncio.timeout_at(min(until_s, now_s + silent_s)) as deadline:
                piece, more = await _piece(receive)
                if not more and len(piece) <= most_bytes:
                    return piece
                half = _HalfBody(deadline)
                while True:
                    self._add(half, piece)
                    if len(half.data) > most_bytes:
                        raise BodyRefused(413)
                    if not more:
                        return bytes(half.data)
                    self._make_room(half)
                    deadline.reschedule(min(until_s, asyncio.get_running_loop().time() + silent_s))
                    piece, more = await _piece(receive)
        except TimeoutError as error:
            raise BodyRefused(503 if half and half.gives_way else 408) from error
        finally:
            if half is not None and self._halves.pop(half, half) is None:
                self._held_bytes -= len(half.data)

    @contextmanager
    def kept(self, body: bytes) -> Iterator[None]:
        """Count a whole body as long as it waits to be answered.

        Raises:
            BodyRefused: with those that wait already it is too much (503).
        """
        size = len(body)
        if self._whole_bytes + size > max(self._budget_bytes, size):
            raise BodyRefused(503)
        self._whole_bytes += size
        try:
            yield
        finally:
            self._whole_bytes -= size

    def _add(self, half: _HalfBody, piece: bytes) -> None:
        if half.gives_way:  # its deadline is about to end it
            raise BodyRefused(503)
        half.data += piece
        self._held_bytes += len(piece)
        if (strides := len(half.data) // STRIDE_BYTES) > half.strides:
            half.strides = strides
            self._halves.pop(half, None)
            self._halves[half] = None

    def _make_room(self, latest: _HalfBody) -> None:
        """Let the slowest ones give way while there is too much.

        Raises:
            BodyRefused: `latest` is among them (503).
        """
        while self._held_bytes > self._budget_bytes and len(self._halves) > 1:
            slowest = next(iter(self._halves))
            del self._halves[slowest]
            self._held_bytes -= len(slowest.data)
            slowest.gives_way = True
            with suppress(RuntimeError):  # its deadline is ending it already
                slowest.deadline.reschedule(asyncio.get_running_loop().time())
        if latest.gives_way:
            raise BodyRefused(503)


async def _piece(receive: Receive) -> tuple[bytes, bool]:
    """Return the next piece of a body, and whether more follows."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
