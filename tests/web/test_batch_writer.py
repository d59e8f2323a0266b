"""Batch writer: who is written with whom, and what one request's failure means for the others."""

import asyncio
import threading
from collections.abc import Sequence
from itertools import chain, pairwise

import pytest
import sqlalchemy.exc

from hub.core.inbound.ingest import IngestResult, PreparedRequest
from hub.web import batch_writer as module
from hub.web.batch_writer import BATCH_MOST, BATCH_MOST_BYTES, ROW_BYTES, THREADS, BatchWriter
from tests.core.making import Town

Names = list[str]


class Refused(Exception):
    """Error of a database that refuses one request."""


def request(name: str, *, size: int = 0) -> PreparedRequest:
    prepared = Town().prepared({"id": name})
    prepared.row["size_bytes"] = size
    return prepared


def names_of(requests: Sequence[PreparedRequest]) -> Names:
    return [one.events[0].external_id if one.events else "unreadable" for one in requests]


class Database:
    """Stand-in for the database: notes what is stored together, and refuses some."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.writes: list[Names] = []
        self.alone: list[Names] = []
        self.may_go_on = asyncio.Event()
        self.is_held = threading.Event()

    def store(self, requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
        names = names_of(requests)
        self.alone.append(names)
        if self.refused & set(names):
            raise Refused(*names)
        return [IngestResult(one.row["id"], "accepted") for one in requests]

    async def together(self, requests: Sequence[PreparedRequest]) -> Sequence[IngestResult | None]:
        names = names_of(requests)
        self.writes.append(names)
        await self.may_go_on.wait()
        if self.refused & set(names):
            raise Refused(*names)
        return [
            None if name.startswith("known") else IngestResult(one.row["id"], "accepted")
            for name, one in zip(names, requests, strict=True)
        ]


async def stored(
    writer: BatchWriter, database: Database, requests: Sequence[PreparedRequest]
) -> list[IngestResult | BaseException]:
    """Store the first request, then all others while it is written; return what each came to."""
    first = asyncio.ensure_future(writer.store(requests[0]))
    while not database.writes:
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(writer.store(one)) for one in requests[1:]]
    await asyncio.sleep(0)
    database.may_go_on.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


def test_a_single_request_is_written_at_once_and_the_rest_as_one() -> None:
    async def check() -> None:
        database = Database()
        writer = BatchWriter(database.store, database.together)
        results = await stored(writer, database, [request(f"e{n}") for n in range(6)])
        assert database.writes == [["e0"], ["e1", "e2", "e3", "e4", "e5"]]
        assert all(isinstance(one, IngestResult) for one in results)
        assert database.alone == []

    asyncio.run(check())


def test_a_batch_has_a_largest_number_and_a_largest_size() -> None:
    async def check() -> None:
        database = Database()
        writer = BatchWriter(database.store, database.together)
        large = [request(f"l{n}", size=BATCH_MOST_BYTES // 2 - 10_000) for n in range(3)]
        many = [request(f"e{n}") for n in range(BATCH_MOST + 1)]
        await stored(writer, database, [request("first"), *large, *many])
        sizes = {
            names_of([one])[0]: one.row["size_bytes"] + 2 * ROW_BYTES for one in [*large, *many]
        }
        batches = database.writes[1:]
        assert list(chain(*batches)) == [*names_of(large), *names_of(many)]
        for batch, following in pairwise(batches):
            size = sum(sizes[name] for name in batch)
            assert size <= BATCH_MOST_BYTES
            assert len(batch) == BATCH_MOST or size + sizes[following[0]] > BATCH_MOST_BYTES
        assert max(len(batch) for batch in batches) <= BATCH_MOST

    asyncio.run(check())


@pytest.mark.parametrize("size", [BATCH_MOST_BYTES + 1, 64 * 1024 * 1024])
def test_what_is_too_large_for_a_batch_is_stored_alone(size: int) -> None:
    async def check() -> None:
        database = Database()
        writer = BatchWriter(database.store, database.together)
        await writer.store(request("huge", size=size))
        assert (database.writes, database.alone) == ([], [["huge"]])

    asyncio.run(check())


def test_what_cannot_be_stored_together_is_stored_alone_and_spoils_nobody_elses() -> None:
    async def check() -> None:
        database = Database("e2")
        writer = BatchWriter(database.store, database.together)
        results = await stored(writer, database, [request(f"e{n}") for n in range(5)])
        assert [isinstance(one, Refused) for one in results] == [False, False, True, False, False]
        assert sorted(chain(*database.alone)) == ["e1", "e2", "e3", "e4"]
        assert await writer.store(request("later"))

    asyncio.run(check())


def test_what_is_known_is_counted_alone_while_the_others_are_answered() -> None:
    async def check() -> None:
        database = Database()
        writer = BatchWriter(database.store, database.together)
        results = await stored(writer, database, [request("e0"), request("known"), request("e1")])
        assert all(isinstance(one, IngestResult) for one in results)
        assert database.alone == [["known"]]

    asyncio.run(check())


def test_a_sender_that_leaves_takes_nobody_with_it() -> None:
    async def check() -> None:
        database = Database()
        writer = BatchWriter(database.store, database.together)
        gone = asyncio.ensure_future(writer.store(request("gone")))
        while not database.writes:
            await asyncio.sleep(0)
        there = asyncio.ensure_future(writer.store(request("there")))
        await asyncio.sleep(0)
        gone.cancel()
        database.may_go_on.set()
        assert isinstance(await there, IngestResult)
        assert database.writes == [["gone"], ["there"]]

    asyncio.run(check())


def test_without_a_connection_of_the_loop_a_thread_stores_batches() -> None:
    async def check() -> None:
        database = Database()
        begun, goes_on = threading.Event(), threading.Event()

        def store(requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
            begun.set()
            goes_on.wait(10)
            return database.store(requests)

        writer = BatchWriter(store)
        first = asyncio.ensure_future(writer.store(request("e0")))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(writer.store(request(f"e{n}"))) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(first, *others)
        assert database.alone == [["e0"], ["e1", "e2", "e3"]]
        writer.close()

    asyncio.run(check())


def test_a_database_that_hangs_is_told_to_the_sender_and_begins_nothing_late(monkeypatch) -> None:
    monkeypatch.setattr(module, "STORE_WITHIN_S", 0.2)

    async def check() -> None:
        hangs, begun = threading.Event(), []

        def store(requests: Sequence[PreparedRequest]) -> Sequence[IngestResult]:
            begun.append(names_of(requests))
            hangs.wait(20)
            return [IngestResult(one.row["id"], "accepted") for one in requests]

        async def nothing(requests: Sequence[PreparedRequest]) -> Sequence[IngestResult | None]:
            return [None] * len(requests)

        for together in (nothing, None):
            begun.clear()
            hangs.clear()
            writer = BatchWriter(store, together)
            results = await asyncio.gather(
                *(writer.store(request(f"e{n}")) for n in range(20)), return_exceptions=True
            )
            assert all(isinstance(one, sqlalchemy.exc.TimeoutError) for one in results)
            hangs.set()
            writer.close()
            assert len(begun) <= THREADS

    asyncio.run(check())
