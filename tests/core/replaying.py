"""What the tests of replays of many are made of: failed deliveries, and a replay of them."""

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
    """Take so many events in, each with a delivery that failed unless told otherwise."""
    town = town or Town()
    town.take_in(connection, *({"id": f"e{n}"} for n in range(count)))
    values = {"state": "failed", "error": "no", "finished_at": NOW} | values
    connection.execute(update(Delivery).values(**values))


def begin(connection: Connection, selection: Selection = FAILED, **wish: Any) -> Started:
    """Start a replay."""
    asked = {"token": "form-1", "per_minute": FAST} | wish
    return create_replay(
        connection, Town(), ReplayRequest(selection, **asked), actor="user:jane", now=NOW
    )


def save_up(connection: Connection, seconds: float = 60) -> None:
    """Let time pass for the rate of all replays."""
    connection.execute(update(Replay).values(paid_until=database_later(-seconds)))


def run(database, replay_id, town: Town | None = None) -> int:
    """Let one batch go; return how many were looked at."""
    with database.write() as connection:
        return release_batch(connection, town or Town(), replay_id, now=NOW)


def finish(database, replay_id) -> None:
    """Let all batches go."""
    for _ in range(100):
        with database.write() as connection:
            save_up(connection)
        run(database, replay_id)
        with database.read() as connection:
            if status.replay_row(connection, replay_id).state != "running":
                return
    raise AssertionError("it did not end")
