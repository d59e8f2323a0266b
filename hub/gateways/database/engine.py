"""Database engines for SQLite and PostgreSQL with the same semantics, and their transactions."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, make_url

from hub.core.pipeline import OPTION
from hub.gateways.database.bounded_connection import (
    ROUND_TRIP_S,
    STATEMENT_TIMEOUT_S,
    bound_round_trips,
)
from hub.gateways.database.pipeline import PostgresPipeline, send_in_order
from hub.gateways.database.sqlite import file_of, prepare_sqlite, sqlite_options
from hub.gateways.database.write_line import WriteLine
from hub.gateways.private_files import make_private_folder

LOCK_TIMEOUT_S = 3
# Rows of bulk work in one transaction of SQLite: 1 to 2 ms each, and nobody else writes meanwhile.
BULK_ROWS = 20


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
    """Make the folder of a database file (SQLite), for its owner alone."""
    if path := file_of(url):
        make_private_folder(Path(path).parent)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
