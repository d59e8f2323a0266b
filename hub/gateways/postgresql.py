"""A connection to PostgreSQL that waits for no answer longer than it was told to.

On a line that is dead but open (a pooler that hangs, a frozen server, a firewall that forgot)
`statement_timeout` frees nobody, and TCP's own time-outs see a peer that takes every byte.
"""

import time
from typing import Any

import psycopg
from sqlalchemy import Engine, event


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
