"""Database engines for SQLite and PostgreSQL with the same semantics, and their transactions.

PostgreSQL connections bound the time of every round trip. On a connection that is dead but open (a
hung pooler, a frozen server, a firewall that dropped its state), `statement_timeout` does not free
the client, and TCP's own time-outs do not expire while the peer accepts every byte.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url

from hub.core.pipeline import OPTION
from hub.gateways.database.pipeline import PostgresPipeline, send_in_order
from hub.gateways.database.sqlite import file_of, prepare_sqlite, sqlite_options
from hub.gateways.database.write_line import WriteLine

STATEMENT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 3
# How long an answer may take: a statement that the server has not ended by then is on a dead
# connection.
ROUND_TRIP_S = STATEMENT_TIMEOUT_S + 5.0
# Rows of bulk work in one transaction of SQLite: 1 to 2 ms each, and nobody else writes meanwhile.
BULK_ROWS = 20


class _Connection(psycopg.Connection[Any]):
    round_trip_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one round trip; close the connection if it takes longer than `round_trip_s`.

        Raises:
            OperationalError: the round trip failed or took too long. Whether the statement was
                executed is unknown.
        """
        timeout = self.round_trip_s if timeout is None else timeout
        started_s = time.monotonic()
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            if timeout is not None and time.monotonic() - started_s >= timeout:
                self.pgconn.finish()
            raise


def bound_round_trips(engine: Engine, round_trip_s: float) -> None:
    """Limit the wait for an answer to `round_trip_s` seconds, on every connection of an engine."""

    @event.listens_for(engine, "do_connect")
    def on_do_connect(_dialect: Any, _record: Any, args: Any, options: Any) -> Any:
        try:
            connection = _Connection.connect(*args, **options)
        except OSError as error:  # out of file descriptors, say
            raise psycopg.OperationalError(f"no connection: {error.strerror}") from error
        connection.round_trip_s = round_trip_s
        return connection


def engine_options(
    url: str, *, pool_size: int = 8, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> dict[str, Any]:
    """Return `create_engine` options that detect a lost database within seconds.

    On a half-open connection `statement_timeout` never frees the client. `tcp_user_timeout` does;
    if the peer still acknowledges bytes but does not answer, `Database` does
    (`bound_round_trips`).
    """
    common: dict[str, Any] = {
        "json_serializer": _dumps,
        "json_deserializer": orjson.loads,
        "hide_parameters": True,  # they contain people's names and bodies
    }
    if make_url(url).get_backend_name() == "sqlite":
        return common | sqlite_options(url, pool_size)
    session = {
        "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
        "lock_timeout": f"{int(lock_timeout_s * 1000)}ms",
        "idle_in_transaction_session_timeout": "30s",
        "timezone": "UTC",
        "jit": "off",
    }
    connect_args = {
        "connect_timeout": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 8000,
        "application_name": "hub",
    }
    return common | {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 2,
        "pool_use_lifo": True,
        "connect_args": connect_args,
    }


class Database:
    """Implementation of core's `Store` over one engine."""

    def __init__(self, engine: Engine, *, round_trip_s: float = ROUND_TRIP_S) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self._line: WriteLine | None = None
        if self.dialect == "sqlite":
            prepare_sqlite(engine)
            path = file_of(engine.url.render_as_string(hide_password=False))
            self._line = WriteLine(path) if path else None
            # Connections of SQLite commit every statement by themselves.
            self._alone = engine.execution_options(hub_begin=None)
        else:
            bound_round_trips(engine, round_trip_s)
            self._alone = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._pipelined = engine.execution_options(isolation_level="AUTOCOMMIT")
            send_in_order(self._pipelined)
        self._immediate = engine.execution_options(hub_begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection in autocommit mode: every statement is its own transaction."""
        with self._alone.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, bulk: bool = False) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back.

        On SQLite it waits in line with all other writers (`WriteLine`).
        """
        line = self._line.turn(bulk=bulk) if self._line else nullcontext()
        with self._immediate.connect() as connection, line, connection.begin():
            yield connection

    def step(self, most: int) -> int:
        """Return the number of rows for one transaction of bulk work, `most` or fewer."""
        return most if self._line is None else min(most, BULK_ROWS)

    @contextmanager
    def write_pipelined(self) -> Iterator[Connection]:
        """Open a transaction like `write`, with a pipeline on PostgreSQL."""
        if self.dialect == "sqlite":
            with self.write() as connection:
                yield connection
            return
        with self._pipelined.begin() as connection:
            pipeline = PostgresPipeline(connection)
            connection.execution_options(**{OPTION: pipeline})
            yield connection
            pipeline.send(commit=True)


def open_database(url: str, *, pool_size: int = 8) -> Database:
    """Return a database with its own engine, outside the Flask application."""
    make_folder(url)
    return Database(create_engine(url, **engine_options(url, pool_size=pool_size)))


def make_folder(url: str) -> None:
    """Create the folder of a database file (SQLite), for its owner alone."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
