"""Batch writer: stores webhooks from an event loop, all that wait at one moment in one write.

Nobody waits for others to join: a single webhook is written at once, alone. What arrives meanwhile
is the next batch. A webhook that cannot be written with others, or is no news, is stored alone, in
a thread; storing it again is harmless, because its ids and keys stay the same.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy.exc

from hub.core.inbound.ingest import IngestResult, PreparedRequest, result_if_new
from hub.core.inbound.insert_postgresql import INSERT_NEW, insert_values
from hub.gateways.database.loop_connection import LoopConnection, LoopConnectionLost

# Threads that store what is not stored in the loop.
THREADS = 4
BATCH_MOST = 32
BATCH_MOST_BYTES = 256 * 1024
# Size added for each row of a request, beside the body: one mail report has thousands of rows.
ROW_BYTES = 2048
# Senders wait about 10 s: by then they are told to come again.
STORE_WITHIN_S = 8

Result = TypeVar("Result")

Store = Callable[[Sequence[PreparedRequest]], Sequence[IngestResult]]
# Returns None for a request that is to be stored alone.
StoreTogether = Callable[[Sequence[PreparedRequest]], Awaitable[Sequence[IngestResult | None]]]

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """Request that waits to be stored, and the future of its result."""

    prepared: PreparedRequest
    size: int
    result: asyncio.Future[IngestResult]


class BatchWriter:
    """Writer of one event loop. `store` is called in threads; `together` None: with batches too."""

    def __init__(self, store: Store, together: StoreTogether | None = None) -> None:
        self._store = store
        self._together = together or self._in_thread
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_writing = False

    async def store(self, prepared: PreparedRequest) -> IngestResult:
        """Store a request; return its result once it is committed.

        Raises:
            SQLAlchemyError: it could not be stored, also not alone.
        """
        size = _size_of(prepared)
        if prepared.batch is None or size > BATCH_MOST_BYTES:
            return await self._store_alone(prepared)
        waiting = _Waiting(prepared, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if not self._is_writing:
            self._is_writing = True
            self._begin(self._write_all())
        if self._together != self._in_thread:  # a connection of the loop has a deadline of its own
            return await waiting.result
        return await _within(STORE_WITHIN_S, waiting.result)

    def close(self) -> None:
        """Wait for the threads, and end them."""
        self._threads.shutdown()

    async def _write_all(self) -> None:
        """Write batch after batch until nothing waits."""
        try:
            while self._waiting:
                await asyncio.sleep(0)  # what is ready in this turn of the loop joins
                await self._write(self._next_batch())
        finally:
            self._is_writing = False

    def _next_batch(self) -> list[_Waiting]:
        while len(self._waiting) > 1 and self._waiting[0].result.done():
            self._waiting.popleft()  # its sender has left, or was told to come again
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < BATCH_MOST:
            size += self._waiting[0].size
            if size > BATCH_MOST_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        results: Sequence[IngestResult | None] = [None] * len(batch)
        try:
            results = await self._together([one.prepared for one in batch])
        except Exception as error:  # noqa: BLE001 - each request then gets the error that is its own
            log.info("%d webhooks cannot be stored together: %s", len(batch), type(error).__name__)
        for one, result in zip(batch, results, strict=True):
            if result is None:
                self._begin(self._finish_alone(one))
            elif not one.result.done():  # its sender may have left
                one.result.set_result(result)

    async def _finish_alone(self, waiting: _Waiting) -> None:
        try:
            result = await self._store_alone(waiting.prepared)
        except Exception as error:  # noqa: BLE001 - raised where the request is answered
            if not waiting.result.done():
                waiting.result.set_exception(error)
        else:
            if not waiting.result.done():
                waiting.result.set_result(result)

    async def _store_alone(self, prepared: PreparedRequest) -> IngestResult:
        return (await _within(STORE_WITHIN_S, self._in_thread([prepared])))[0]

    async def _in_thread(self, requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._store, requests)

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


async def _within(seconds: float, storing: Awaitable[Result]) -> Result:
    """Wait for a write; one that has not begun by then never does.

    Raises:
        TimeoutError: of SQLAlchemy, as for a connection that is not free in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await storing
    except TimeoutError as error:
        raise sqlalchemy.exc.TimeoutError from error


def together_on(connection: LoopConnection) -> StoreTogether:
    """Return a function that stores requests in one statement on a connection of the loop."""

    async def store(requests: Sequence[PreparedRequest]) -> Sequence[IngestResult | None]:
        values = insert_values([one.batch for one in requests if one.batch is not None])
        try:
            new = {row[0] for row in await connection.execute(INSERT_NEW, values)}
        except LoopConnectionLost:
            return [None] * len(requests)
        return [result_if_new(one, new) for one in requests]

    return store


def _size_of(prepared: PreparedRequest) -> int:
    """Return the share of a batch's size that a request takes, in bytes, estimated."""
    rows = len(prepared.batch.events) + len(prepared.batch.deliveries) if prepared.batch else 0
    return int(prepared.row["size_bytes"]) + ROW_BYTES * rows
