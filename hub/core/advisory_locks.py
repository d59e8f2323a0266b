"""Advisory locks of a transaction, for work that has no row to lock.

On SQLite they do nothing: it has one writer at a time.
"""

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import Connection, text

_LOCK = text("SELECT pg_advisory_xact_lock(one) FROM unnest(CAST(:keys AS bigint[])) AS one")


def advisory_lock(connection: Connection, *name: str) -> None:
    """Acquire the advisory lock with this name, waiting for it; the transaction's end frees it."""
    words = "\0".join(name).encode("utf-8", "surrogatepass")
    advisory_locks(connection, [blake2b(words, digest_size=8).digest()])


def advisory_locks(connection: Connection, keys: Iterable[bytes]) -> None:
    """Acquire several advisory locks, waiting for each, always in the order of their keys.

    The first eight bytes of a key identify its lock.
    """
    if connection.dialect.name == "postgresql":
        numbers = [int.from_bytes(key[:8], "big", signed=True) for key in sorted(keys)]
        connection.execute(_LOCK, {"keys": numbers})
