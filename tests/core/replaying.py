"""Bulk replays for tests: failed deliveries, and a replay of them."""

from typing import Any

from sqlalchemy import Connection, update

from hub.core.models import (
    Delivery,
    Replay,
    database_later,
)
from hub.core.replays import status
from hub.core.replays.advance import release_batch
from hub.core.replays.create import ReplayRequest, Started, create_replay
from hub.core.replays.selection import Selection
from tests.core.making import NOW, Town

FAILED = Selection(state="failed")
FAST = 600_000


def fill(connection: Connection, count: int, town: Town | None = None, **values: Any) -> None:
    """Ingest so many events, each with a delivery that has failed unless `values` differ."""
    town = town or Town()
    town.take_in(connection, *({"id": f"e{n}"} for n in range(count)))
    values = {"state": "failed", "error": "no", "finished_at": NOW} | values
    connection.execute(update(Delivery).values(**values))


def begin(
    connection: Connection, selection: Selection = FAILED, town: Town | None = None, **wish: Any
) -> Started:
    """Start a replay."""
    asked = {"token": "form-1", "per_minute": FAST} | wish
    return create_replay(
        connection, town or Town(), ReplayRequest(selection, **asked), actor="user:jane", now=NOW
    )


def save_up(connection: Connection, seconds: float = 60) -> None:
    """Credit the rate of all replays with so many seconds."""
    connection.execute(update(Replay).values(paid_until=database_later(-seconds)))


def run(database, replay_id, town: Town | None = None) -> int:
    """Release one batch; return the number of deliveries that were examined."""
    with database.write() as connection:
        return release_batch(connection, town or Town(), replay_id, now=NOW)


def finish(database, replay_id) -> None:
    """Release all batches."""
    for _ in range(100):
        with database.write() as connection:
            save_up(connection)
        run(database, replay_id)
        with database.read() as connection:
            if status.replay_row(connection, replay_id).state != "running":
                return
    raise AssertionError("it did not end")
