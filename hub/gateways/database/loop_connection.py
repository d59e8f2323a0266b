"""Connection to PostgreSQL for an event loop: psycopg's, one statement at a time, bounded in time.

A statement that is late keeps nobody waiting: the connection is given up, and closes itself once
the server answers. It stays away for a while; whoever needs the database then uses a thread.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import make_url

from hub.gateways.database.engine import engine_options

# What the database's list of connections calls it.
APPLICATION_NAME = "hub loop"
OPEN_WITHIN_S = 5.0
# A statement that waits for a lock longer than that is left to a thread.
LOCK_TIMEOUT_S = 0.1
# How long a statement may take.
PATIENCE_S = 0.25
# How long there is no connection after one was late or broke, and after one could not be opened.
REST_S, REST_AFTER_FAILURE_S = 1.0, 5.0
# How long the answer to a late statement is awaited before its connection is closed all the same.
ANSWER_WITHIN_S = 15.0

log = logging.getLogger(__name__)


class LoopConnectionLost(Exception):
    """Connection that is not there, or broke, or was late: the statement may have run, or not."""


class LoopConnection:
    """Connection of one event loop; it opens itself when it is asked for."""

    def __init__(self, url: str) -> None:
        options = engine_options(url, lock_timeout_s=LOCK_TIMEOUT_S)["connect_args"]
        parsed = make_url(url)
        _, target = parsed.get_dialect()().create_connect_args(parsed)
        self._options = {**target, **options, "application_name": APPLICATION_NAME}
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Future[None]] = set()
        self._open_from_s = 0.0
        self._is_failing = False

    async def execute(self, statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Execute a statement in a transaction of its own; return its rows once it is committed.

        Raises:
            LoopConnectionLost
            psycopg.Error: the database refused the statement, which then had no effect.
        """
        connection = self._connection
        if connection is None:
            self._open_when_due()
            raise LoopConnectionLost
        running = asyncio.ensure_future(_rows(connection, statement, values))
        done, _ = await asyncio.wait((running,), timeout=PATIENCE_S)
        if not done:
            self._give_up("the database took too long for a write")
            ending = asyncio.ensure_future(_end(connection, running))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise LoopConnectionLost
        try:
            return running.result()
        except Exception as error:
            if connection.closed or not isinstance(error, psycopg.Error):
                self._give_up("the connection to the database broke")
                raise LoopConnectionLost from error
            raise

    async def close(self) -> None:
        """Close the connection; no statement may be under way."""
        if self._connection is not None:
            await self._connection.close()

    def _give_up(self, why: str) -> None:
        log.info("threads store webhooks for a while: %s", why)
        self._connection = None
        self._open_from_s = asyncio.get_running_loop().time() + REST_S

    def _open_when_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._opening is None and now_s >= self._open_from_s:
            self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                self._connection = await psycopg.AsyncConnection.connect(
                    **self._options, autocommit=True, prepare_threshold=0
                )
        except Exception as error:  # noqa: BLE001 - a task of the loop, whose errors nobody awaits
            level = logging.DEBUG if self._is_failing else logging.WARNING
            log.log(level, "threads store webhooks: no connection (%s)", type(error).__name__)
            self._is_failing = True
            self._open_from_s = asyncio.get_running_loop().time() + REST_AFTER_FAILURE_S
        else:
            self._is_failing = False
        finally:
            self._opening = None


async def _rows(
    connection: psycopg.AsyncConnection[Any], statement: str, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def _end(connection: psycopg.AsyncConnection[Any], running: asyncio.Future[Any]) -> None:
    """Close a connection once its late statement has ended; what that came to does not matter."""
    with suppress(psycopg.Error, OSError):
        await asyncio.wait_for(running, ANSWER_WITHIN_S)
    await connection.close()
