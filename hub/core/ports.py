"""Ports: protocols that core depends on and that the gateways implement."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection

# What stands for a destination where work belongs to none: folding, lists of providers.
EVENTS = "events"


class Store(Protocol):
    """Port of the database: the connections and transactions of web, worker, clock and CLI."""

    @property
    def dialect(self) -> str:
        """Return the dialect's name: `postgresql` or `sqlite`."""

    def read(self) -> AbstractContextManager[Connection]:
        """Open a connection on which every statement is a transaction of its own."""

    def write(self, *, bulk: bool = False) -> AbstractContextManager[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back on an error.

        SQLite has one writer at a time: transactions wait in line. `bulk` is for work in many steps
        (replays, folding, indexing, lists): each first lets webhooks and calls go, for a bounded
        time. On PostgreSQL it changes nothing.
        """

    def step(self, most: int) -> int:
        """Return the number of rows for one transaction of bulk work: `most`, or fewer on SQLite.

        It is bounded because nobody else can write until the transaction ends.
        """

    def write_pipelined(self) -> AbstractContextManager[Connection]:
        """Open a transaction like `write`, whose hot statements travel together.

        See `hub.core.pipeline`.
        """


class Waker(Protocol):
    """Port of wake-ups: they announce due work. A lost wake-up costs time, never work."""

    def wake(self, destinations: Collection[str] | None = None) -> None:
        """Send a wake-up for destinations with due work, or `EVENTS`; return at once.

        None means all of them.
        """


class Disk(Protocol):
    """Port of the disks that the hub itself writes to, as they were seen some seconds ago."""

    @property
    def is_full(self) -> bool:
        """Return whether there is so little room that nothing may be taken in."""

    @property
    def is_spent(self) -> bool:
        """Return whether there is so little room that no call may be made either."""

    @property
    def alerts(self) -> Mapping[str, Mapping[str, str]]:
        """Return the sentences about disks without room, by the alert's kind and the folder.

        Every kind is there; nothing at all where no disk is the hub's own.
        """


class DiskElsewhere:
    """Disk of a hub that writes to none of its own."""

    is_full = is_spent = False
    alerts: Mapping[str, Mapping[str, str]] = {}
