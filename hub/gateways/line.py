"""Connection to PostgreSQL for an event loop: one prepared statement, non-blocking once open.

psycopg's connections wait for each answer. Here libpq is asked as its manual says ("Asynchronous
Command Processing"): send, watch the socket, take in what is there.
"""

import select
import struct
import time
from collections.abc import Callable, Sequence
from typing import cast

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hub.gateways.database.engine import bound_round_trips, engine_options

# What the database's list of connections calls it.
APPLICATION_NAME = "hub loop"
OPEN_WITHIN_S = 5.0
_NAME = b"line"
_BYTEA = 17


class LineError(Exception):
    """Connection lost: the current statement may have been executed or not; discard the line."""


class StatementError(Exception):
    """Statement refused by the database, without any effect; the line stays usable."""


class Line:
    """Prepared statement on its own connection, executed once at a time.

    `is_sending`: not all of it has left yet, so watch for being writable too.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection  # closes itself when it is forgotten
        self._libpq = connection.pgconn
        self._libpq.nonblocking = 1
        self._fileno = self._libpq.socket
        self._results: list[PGresult] = []
        self._is_busy = False
        self.is_sending = False

    @classmethod
    def open(cls, url: str, statement: str, *, lock_timeout_s: float) -> "Line":
        """Connect, and prepare a statement whose parameters are `$1`, `$2`, ... This waits.

        Raises:
            LineError: the database cannot be reached, or does not take the statement.
        """
        connect_args = engine_options(url, lock_timeout_s=lock_timeout_s)["connect_args"]
        connect_args["application_name"] = APPLICATION_NAME
        engine = create_engine(url, poolclass=NullPool, connect_args=connect_args)
        bound_round_trips(engine, OPEN_WITHIN_S)
        try:
            pooled = engine.raw_connection()
            connection = cast(psycopg.Connection, pooled.driver_connection)
            pooled.detach()
            connection.autocommit = True
        except (SQLAlchemyError, psycopg.Error) as error:
            raise LineError from error
        line = cls(connection)
        line._prepare(statement.encode())
        return line

    def fileno(self) -> int:
        """Return the socket's file descriptor; libpq closes it when the connection breaks."""
        return self._fileno

    def send(self, values: Sequence[bytes], formats: Sequence[Format]) -> None:
        """Start one execution of the statement; `receive` returns its result.

        Raises:
            LineError
        """
        self._start(lambda: self._libpq.send_query_prepared(_NAME, values, formats, Format.BINARY))

    def receive(self) -> list[bytes] | None:
        """Return the first column of the rows, in binary, once they are committed; None before.

        Raises:
            StatementError
            LineError
        """
        results = self._take_in()
        if results is None:
            return None
        # The commit comes after the rows: if it fails, that is a result of its own.
        if [result.status for result in results] != [ExecStatus.TUPLES_OK]:
            raise StatementError
        [rows] = results
        return [rows.get_value(row, 0) or b"" for row in range(rows.ntuples)]

    def close(self) -> None:
        """Close the connection, even while a statement is executed."""
        self._connection.close()

    def _start(self, send: Callable[[], None]) -> None:
        self._is_busy = True
        self._results = []
        try:
            send()
            self.is_sending = bool(self._libpq.flush())
        except psycopg.Error as error:
            raise LineError from error

    def _take_in(self) -> list[PGresult] | None:
        """Read available input; return the results once the server is ready for more."""
        try:
            self._libpq.consume_input()
            if self.is_sending:
                self.is_sending = bool(self._libpq.flush())
            # To ask for a result while libpq is busy would wait for the server.
            was_busy = self._is_busy
            while self._is_busy and not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    self._is_busy = False
                else:
                    self._results.append(result)
        except psycopg.Error as error:
            raise LineError from error
        if self._libpq.status != ConnStatus.OK:
            raise LineError
        return self._results if was_busy and not self._is_busy else None

    def _prepare(self, statement: bytes) -> None:
        # In the protocol and not in SQL: poolers know how to follow that.
        self._start(lambda: self._libpq.send_prepare(_NAME, statement))
        until_s = time.monotonic() + OPEN_WITHIN_S
        while (results := self._take_in()) is None:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise LineError
            select.select([self], [self] if self.is_sending else [], [], left_s)
        if [result.status for result in results] != [ExecStatus.COMMAND_OK]:
            raise LineError


def bytea_array(values: Sequence[bytes]) -> bytes:
    """Return a `bytea[]` as PostgreSQL sends it in binary (`array_send` in its source)."""
    pieces = [struct.pack("!iiIii", 1, 0, _BYTEA, len(values), 1)]
    for value in values:
        pieces += (struct.pack("!i", len(value)), value)
    return b"".join(pieces)
