"""Connection to PostgreSQL whose every round trip is bounded in time.

On a connection that is dead but open (a hung pooler, a frozen server, a firewall that dropped its
state), `statement_timeout` does not free the client, and TCP's own time-outs do not expire while
the peer accepts every byte.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event

STATEMENT_TIMEOUT_S = 10
# How long an answer may take: a statement that the server has not ended by then is on a dead
# connection.
ROUND_TRIP_S = STATEMENT_TIMEOUT_S + 5.0


class BoundedConnection(psycopg.Connection[Any]):
    """Connection that closes itself if a round trip takes longer than `round_trip_s`."""

    round_trip_s: float | None = None

    @contextmanager
    def statements(self, count: int) -> Iterator[None]:
        """Give a round trip the time of `count` statements, each of which may take its own.

        Otherwise the client could give up while the server still executes them one after the other,
        and commits.
        """
        bound_s = self.round_trip_s
        if bound_s is not None:
            self.round_trip_s = bound_s + max(0, count - 1) * STATEMENT_TIMEOUT_S
        try:
            yield
        finally:
            self.round_trip_s = bound_s

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one round trip; close the connection if it takes too long.

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
            connection = BoundedConnection.connect(*args, **options)
        except OSError as error:  # out of file descriptors, say
            raise psycopg.OperationalError(f"no connection: {error.strerror}") from error
        connection.round_trip_s = round_trip_s
        return connection
