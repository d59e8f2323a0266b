"""Chaos helpers: workers side by side, and a thread that cuts their connections at random."""

import random
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from hub.core.models import Lane, database_now
from hub.gateways.database.engine import Database
from hub.gateways.database.wait import wait_for_store
from hub.worker.context import WorkerContext
from hub.worker.drain import Drain

_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'hub'
ORDER BY random() LIMIT 1
"""


class Side:
    """Background threads that run until they are stopped; a context manager."""

    def __init__(self, *works: Callable[[threading.Event], None]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one, args=(self._stop,)) for one in works]
        for thread in self._threads:
            thread.daemon = True

    def __enter__(self) -> "Side":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"


def drainer(worker: WorkerContext, troubles: list[str]) -> Callable[[threading.Event], None]:
    """Return a thread function that drains again and again, as a worker without Redis does."""

    def work(stop: threading.Event) -> None:
        while not stop.wait(0.05):
            try:
                Drain(worker).run()
            except DBAPIError:
                wait_for_store(worker.hub.store, stop)
            except Exception as error:  # noqa: BLE001 - the test says which
                troubles.append(repr(error))

    return work


def cutter(database: Database, cuts: list[int]) -> Callable[[threading.Event], None]:
    """Return a thread function that ends a random worker connection a few times a second."""
    chance = random.Random(7)

    def work(stop: threading.Event) -> None:
        while not stop.wait(chance.uniform(0.02, 0.3)):
            with database.read() as connection:
                cuts.extend(connection.execute(text(_CUT)).scalars())

    return work


def watcher(database: Database, longest: dict[str, float]) -> Callable[[threading.Event], None]:
    """Return a thread function that records the longest lease ahead, by the database's clock."""

    def work(stop: threading.Event) -> None:
        while not stop.wait(0.2):
            for destination, left_s in leases(database):
                longest[destination] = max(longest.get(destination, 0.0), left_s)

    return work


def leases(database: Database) -> list[tuple[str, float]]:
    """Return the leased lanes, and the seconds that each lease has left."""
    with database.read() as connection:
        rows: list[Any] = list(
            connection.execute(
                select(Lane.destination, Lane.lease_until, database_now().label("now"))
            )
        )
    return [
        (row.destination, (row.lease_until - row.now).total_seconds())
        for row in rows
        if row.lease_until and row.lease_until > row.now
    ]


def outside_of(postgresql_url: str) -> Database:
    """Return a database whose connections the cutter leaves alone."""
    url = postgresql_url.replace("postgresql://", "postgresql+psycopg://")
    return Database(create_engine(url, connect_args={"application_name": "outside"}))
