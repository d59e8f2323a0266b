"""Turns: who does the same at once goes one after the other, where no row is there to wait for."""

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import Connection, text

_TAKE = text("SELECT pg_advisory_xact_lock(one) FROM unnest(CAST(:turns AS bigint[])) AS one")


def take_turn(connection: Connection, *what: str) -> None:
    """Wait until nobody else has the turn; it is ours until the transaction ends."""
    words = "\0".join(what).encode("utf-8", "surrogatepass")
    take_turns(connection, [blake2b(words, digest_size=8).digest()])


def take_turns(connection: Connection, keys: Iterable[bytes]) -> None:
    """Take several in one order, each known by its first eight bytes."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        turns = [int.from_bytes(key[:8], "big", signed=True) for key in sorted(keys)]
        connection.execute(_TAKE, {"turns": turns})
