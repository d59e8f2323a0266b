"""The promises that core needs kept by somebody else; the gateways keep them."""

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection


class Store(Protocol):
    """The database, with the edge's transactions."""

    @property
    def dialect(self) -> str:
        """Return `postgresql` or `sqlite`."""

    def read(self) -> AbstractContextManager[Connection]:
        """Open a connection on which every statement stands alone."""

    def write(self) -> AbstractContextManager[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back."""


class Waker(Protocol):
    """Says that work is due. Losing a wake-up loses time, never work."""

    def wake(self) -> None:
        """Note that work is due; return at once."""
