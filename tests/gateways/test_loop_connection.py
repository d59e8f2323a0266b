"""Connection of an event loop to a real PostgreSQL: late, broken, refused, and back again."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from hub.gateways.database import loop_connection as module
from hub.gateways.database.loop_connection import LoopConnection, LoopConnectionLost

PID = "SELECT pg_backend_pid()"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no statement be late because the machine is busy."""
    monkeypatch.setattr(module, "PATIENCE_S", 20.0)


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


async def opened(url: str) -> LoopConnection:
    connection = LoopConnection(url)
    await value_of(connection, PID)
    return connection


async def value_of(connection: LoopConnection, statement: str) -> Any:
    """Return the first value of a statement, once there is a connection that executes it."""
    async with asyncio.timeout(20):
        while True:
            try:
                return (await connection.execute(statement, {}))[0][0]
            except LoopConnectionLost:
                await asyncio.sleep(0.01)


def test_it_opens_itself_and_executes(url: str) -> None:
    async def check() -> None:
        connection = LoopConnection(url)
        with pytest.raises(LoopConnectionLost):
            await connection.execute(PID, {})
        assert await value_of(connection, "SELECT 40 + 2") == 42
        assert await connection.execute("SELECT %(a)s::int + 1", {"a": 1}) == [(2,)]
        await connection.close()

    asyncio.run(check())


def test_a_statement_that_is_refused_leaves_it_open(url: str) -> None:
    async def check() -> None:
        connection = await opened(url)
        pid = await value_of(connection, PID)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1 / 0", {})
        assert (await connection.execute(PID, {}))[0][0] == pid
        await connection.close()

    asyncio.run(check())


def test_a_connection_that_breaks_is_replaced_after_a_rest(url: str, admin, monkeypatch) -> None:
    monkeypatch.setattr(module, "REST_S", 0.2)

    async def check() -> None:
        connection = await opened(url)
        pid = await value_of(connection, PID)
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(LoopConnectionLost):
            await connection.execute(PID, {})
        with pytest.raises(LoopConnectionLost):
            await connection.execute(PID, {})
        assert await value_of(connection, PID) != pid
        await connection.close()

    asyncio.run(check())


def test_a_late_statement_keeps_nobody_waiting_and_its_connection_ends(
    url: str, admin, monkeypatch
) -> None:
    monkeypatch.setattr(module, "REST_S", 0.0)
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)

    async def check() -> None:
        connection = await opened(url)
        pid = await value_of(connection, PID)
        with pytest.raises(LoopConnectionLost):
            await connection.execute("SELECT pg_sleep(1.5)", {})
        assert await value_of(connection, PID) != pid
        is_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        assert admin.execute(is_there, (pid,)).fetchone() == (1,)
        async with asyncio.timeout(20):
            while admin.execute(is_there, (pid,)).fetchone() != (0,):
                await asyncio.sleep(0.05)
        await connection.close()

    asyncio.run(check())


def test_a_statement_that_waits_for_a_lock_is_refused_soon(url: str, admin) -> None:
    admin.execute("CREATE TABLE locked (n int)")

    async def check() -> None:
        connection = await opened(url)
        with psycopg.connect(url.replace("+psycopg", "")) as locker:
            locker.execute("LOCK TABLE locked")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await connection.execute("INSERT INTO locked VALUES (1) RETURNING n", {})
        await connection.close()

    asyncio.run(check())
    assert admin.execute("SELECT count(*) FROM locked").fetchone() == (0,)


def test_a_database_that_cannot_be_reached_is_asked_again_after_a_longer_rest(
    monkeypatch, caplog
) -> None:
    monkeypatch.setattr(module, "REST_AFTER_FAILURE_S", 0.1)
    tries: list[float] = []

    async def refuse(**_: Any) -> None:
        tries.append(asyncio.get_running_loop().time())
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", refuse)

    async def check() -> None:
        connection = LoopConnection("postgresql+psycopg://nobody@127.0.0.1:1/none")
        while len(tries) < 3:
            with pytest.raises(LoopConnectionLost):
                await connection.execute(PID, {})
            await asyncio.sleep(0.01)

    asyncio.run(check())
    assert all(later - earlier > 0.09 for earlier, later in pairwise(tries))
    assert caplog.text.count("no connection") == 1
