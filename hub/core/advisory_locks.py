"""Advisory locks of a transaction or a session, for work that has no row to lock.

On SQLite they do nothing: it has one writer at a time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from sqlalchemy import Connection, text

_TRY, _END = (text(f"SELECT pg_{name}(:key)") for name in ("try_advisory_lock", "advisory_unlock"))
_LOCK = text("SELECT pg_advisory_xact_lock(one) FROM unnest(CAST(:keys AS bigint[])) AS one")


def advisory_lock(connection: Connection, *name: str) -> None:
    """Acquire the advisory lock with this name, waiting for it; the transaction's end frees it."""
    advisory_locks(connection, [_key_of(name)])


def advisory_locks(connection: Connection, keys: Iterable[bytes]) -> None:
    """Acquire several advisory locks, waiting for each, always in the order of their keys.

    The first eight bytes of a key identify its lock.
    """
    if connection.dialect.name == "postgresql":
        numbers = [int.from_bytes(key[:8], "big", signed=True) for key in sorted(keys)]
        connection.execute(_LOCK, {"keys": numbers})


@contextmanager
def held_session_lock(connection: Connection, *name: str) -> Iterator[bool]:
    """Hold the lock with this name for the block, if it is free; yield whether it is held.

    Transactions on other connections may begin and end meanwhile. `connection` is in autocommit; if
    it ends, so does the lock.
    """
    if connection.dialect.name != "postgresql":
        yield True
        return
    key = {"key": int.from_bytes(_key_of(name), "big", signed=True)}
    is_mine = bool(connection.execute(_TRY, key).scalar_one())
    try:
        yield is_mine
    finally:
        if is_mine:
            connection.execute(_END, key)


def _key_of(name: tuple[str, ...]) -> bytes:
    words = "\0".join(name).encode("utf-8", "surrogatepass")
    return blake2b(words, digest_size=8).digest()
