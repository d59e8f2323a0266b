"""The database: engines that mean the same on SQLite and PostgreSQL, transactions.

A connection to PostgreSQL that waits for no answer longer than it was told to.

On a line that is dead but open (a pooler that hangs, a frozen server, a firewall that forgot)
`statement_timeout` frees nobody, and TCP's own time-outs see a peer that takes every byte.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool


class _Connection(psycopg.Connection[Any]):
    round_trip_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one round trip; close the line when it takes too long.

        Raises:
            OperationalError: it did. Nobody knows whether the statement was carried out.
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
    """Make every connection of an engine give up on an answer after so many seconds."""

    @event.listens_for(engine, "do_connect")
    def on_do_connect(_dialect: Any, _record: Any, args: Any, options: Any) -> Any:
        try:
            connection = _Connection.connect(*args, **options)
        except OSError as error:  # out of file descriptors, say
            raise psycopg.OperationalError(f"no connection: {error.strerror}") from error
        connection.round_trip_s = round_trip_s
        return connection


STATEMENT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 3
# How long an answer may take; what the server does not end by then, a dead line never will.
ROUND_TRIP_S = STATEMENT_TIMEOUT_S + 5.0


def engine_options(
    url: str, *, pool_size: int = 8, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> dict[str, Any]:
    """Return what `create_engine` needs so that a lost database is noticed within seconds.

    On a half-open link `statement_timeout` never frees the client: `tcp_user_timeout` does, and
    `Database` where the far end of the link is only deaf.
    """
    common: dict[str, Any] = {
        "json_serializer": _dumps,
        "json_deserializer": orjson.loads,
        "hide_parameters": True,  # they are people's names and bodies
    }
    if make_url(url).get_backend_name() == "sqlite":
        return common | {"poolclass": NullPool, "connect_args": {"timeout": 5}}
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
    """The `Store` that core asks for, over one engine."""

    def __init__(self, engine: Engine, *, round_trip_s: float = ROUND_TRIP_S) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self._alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._immediate = engine.execution_options(hub_begin="BEGIN IMMEDIATE")
        if self.dialect == "sqlite":
            prepare_sqlite(engine)
        else:
            bound_round_trips(engine, round_trip_s)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection on which every statement stands alone."""
        with self._alone.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back."""
        with self._immediate.begin() as connection:
            yield connection


def prepare_sqlite(engine: Engine) -> None:
    """Make SQLite durable and its write transactions take their lock at the start."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(options.get("hub_begin", "BEGIN"))


def open_database(url: str, *, pool_size: int = 8) -> Database:
    """Return a database of its own, outside any app."""
    make_folder(url)
    return Database(create_engine(url, **engine_options(url, pool_size=pool_size)))


def make_folder(url: str) -> None:
    """Make the folder of a database that is a file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
