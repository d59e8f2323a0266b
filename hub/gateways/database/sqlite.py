"""SQLite: options of its engines, durable connections that are kept, and transactions.

Connections are kept because a new one reads the whole schema again, which takes as long as a
write. A kept one is used only for the file that now has the database's name: one that was moved
away, or replaced by a backup, would take writes that nobody finds again.
"""

import atexit
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool, QueuePool

from hub.gateways.private_files import make_private_file

BUSY_TIMEOUT_S = 5
# Statements that a connection keeps prepared: those of ingest differ by the number of their rows.
STATEMENTS = 256
# What a checkpoint leaves of the write-ahead log: a long read makes it grow, and without a limit it
# would keep that size. Usually it has 4 MB.
JOURNAL_MOST_BYTES = 16 * 1024 * 1024


def sqlite_options(url: str, pool_size: int) -> dict[str, Any]:
    """Return `create_engine` options: up to `pool_size` connections are kept, none is refused."""
    if file_of(url) is None:
        return {"poolclass": NullPool, "connect_args": {"timeout": BUSY_TIMEOUT_S}}
    return {
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": -1,
        "pool_use_lifo": True,
        "connect_args": {"timeout": BUSY_TIMEOUT_S, "cached_statements": STATEMENTS},
    }


def file_of(url: str) -> str | None:
    """Return the path of a SQLite file; None for one in memory, for a URI, and for PostgreSQL."""
    parsed = make_url(url)
    name = parsed.database or ":memory:"
    is_file = parsed.get_backend_name() == "sqlite" and not name.startswith((":memory:", "file:"))
    return name if is_file else None


def prepare_sqlite(engine: Engine) -> None:
    """Configure SQLite for durability, and for write transactions that lock at their start."""
    path = file_of(engine.url.render_as_string(hide_password=False))

    @event.listens_for(engine, "do_connect")
    def before_connect(*_: Any) -> None:
        # SQLite would make it with the umask's mode; what it puts beside it gets that of the file.
        if path:
            with suppress(OSError):  # SQLite says what is wrong
                make_private_file(Path(path))

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # `on_begin` emits BEGIN itself
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
            f"journal_size_limit={JOURNAL_MOST_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        record.info["file"] = _identity_of(path)

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: Any, _: Any) -> None:
        if record.info["file"] != _identity_of(path):
            raise DisconnectionError("the database's file was replaced")
        # The end of an autocommit of SQLAlchemy's sets it to Python's default.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            begin = options.get("hub_begin", "BEGIN")
            if begin is not None:
                connection.exec_driver_sql(begin)

    _ENGINES.add(engine)


def _identity_of(path: str | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def close_connections() -> None:
    """Close the connections at rest of all engines of this process.

    Whoever closes the last one of all processes leaves the whole database in its one file. And no
    fork may inherit one: it would hold none of the locks that SQLite believes it holds
    (https://www.sqlite.org/howtocorrupt.html, 2.6).
    """
    for engine in list(_ENGINES):
        engine.dispose()


_ENGINES: WeakSet[Engine] = WeakSet()
atexit.register(close_connections)
os.register_at_fork(before=close_connections)
