"""Transactions on the lanes of one destination that meet, on PostgreSQL: SQLite has one writer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from hub.core.configuration import Destination
from hub.core.delivery import lanes, pauses, shards
from hub.core.delivery.lane_rows import Lease
from hub.core.models import Lane
from hub.gateways.database.engine import Database, open_database
from tests.core.making import rows, until_somebody_waits


@pytest.fixture
def database(postgresql_url: str, town) -> Iterator[Database]:
    database = open_database(postgresql_url, pool_size=4)
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, ["ops"])
    yield database
    database.engine.dispose()


def ensure(connection: Any, number: int) -> None:
    shards.ensure_shards(connection, [Destination("ops", "http", {}, shards=number)])


def divide(database: Database, number: int) -> None:
    with database.write() as connection:
        ensure(connection, number)


def take(database: Database, holder: str, number: int, among: Any = None) -> list[Lease]:
    with database.write() as connection:
        return lanes.acquire(connection, holder, ["ops"], most=9, shards=number, among=among)


def lane_rows(database: Database) -> list[Any]:
    with database.read() as connection:
        return rows(connection, Lane, Lane.destination, Lane.shard)


def write_while(
    database: Database, write: Callable[[Any], Any], other: Callable[[Any], Any]
) -> Any:
    """Run `write` in a transaction of its own while that of `other` is open and has run."""

    def run() -> Any:
        with database.write() as connection:
            return write(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            other(connection)
            running = pool.submit(run)
            until_somebody_waits(database, or_has_ended=running)
        return running.result(10)


def pause(connection: Any) -> None:
    pauses.mark_paused(connection, "ops", paused=True)


def block(lease: Lease, for_s: float = 60, setbacks: int = 1) -> Callable[[Any], None]:
    return lambda connection: pauses.block(
        connection, lease, for_s=for_s, reason="refused us", setbacks=setbacks
    )


def test_rows_made_during_a_pause_are_of_a_paused_destination(database) -> None:
    write_while(database, pause, lambda connection: ensure(connection, 3))
    assert take(database, "a", 3) == []


def test_rows_made_during_a_block_are_of_a_blocked_destination(database) -> None:
    [lease] = take(database, "a", 1)
    write_while(database, block(lease), lambda connection: ensure(connection, 3))
    with database.write() as connection:
        lanes.release(connection, lease)
    assert take(database, "b", 3) == []


def test_rows_made_while_it_recovers_are_leased(database) -> None:
    with database.write() as connection:
        connection.execute(update(Lane).values(setbacks=2))
    [lease] = take(database, "a", 1)
    write_while(
        database,
        lambda connection: pauses.recover(connection, lease),
        lambda connection: ensure(connection, 3),
    )
    with database.write() as connection:
        lanes.release(connection, lease)
    assert [one.shard for one in take(database, "b", 3)] == [0, 1, 2]


@pytest.mark.parametrize("number", [1, 2])
def test_whoever_loses_its_lane_meanwhile_neither_blocks_nor_recovers(database, number) -> None:
    divide(database, number)
    old = take(database, "old", number)[-1]
    with database.write() as connection:
        connection.execute(update(Lane).values(lease_until=lanes.database_later(-1)))

    def take_over(connection: Any) -> None:
        lanes.acquire(connection, "new", ["ops"], most=9, shards=number)
        connection.execute(update(Lane).values(setbacks=5))

    write_while(database, block(old), take_over)
    with database.write() as connection:
        connection.execute(update(Lane).values(lease_until=lanes.database_later(-1)))
    write_while(database, lambda connection: pauses.recover(connection, old), take_over)
    assert {(row.blocked_reason, row.setbacks) for row in lane_rows(database)} == {(None, 5)}


def test_a_pause_waits_for_a_claim_in_another_shard_and_none_begins_after_it(database) -> None:
    divide(database, 3)
    lease = take(database, "a", 3)[2]
    seen: list[set[str]] = []

    def claim(connection: Any) -> None:
        seen.append(lanes.workable(connection, [lease]))

    pause = lambda connection: pauses.mark_paused(connection, "ops", paused=True)  # noqa: E731
    write_while(database, pause, claim)
    write_while(
        database, claim, lambda connection: pauses.mark_paused(connection, "ops", paused=False)
    )
    write_while(database, claim, pause)
    assert seen == [{"ops"}, {"ops"}, set()]


def test_asking_for_a_lane_waits_for_nobody(database) -> None:
    """The asker has locked its lanes: a pause that waits for them may have locked the others."""
    divide(database, 4)
    take(database, "rich", 4, among=[0, 1, 2])
    [mine] = take(database, "asker", 4, among=[3])

    def pause_it() -> None:
        with database.write() as connection:
            pause(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            lanes.renew(connection, [mine])
            wanted = shards.shards_to_ask_for(
                shards.shard_states(connection, ["ops"])["ops"], "asker"
            )
            pausing = pool.submit(pause_it)
            until_somebody_waits(database, or_has_ended=pausing)
            shards.ask_for(connection, wanted, "asker")
        pausing.result(10)
    assert [row.paused for row in lane_rows(database)] == [True, False, False, False]


def test_of_two_numbers_leased_in_one_moment_the_lower_one_stays(database) -> None:
    """Each finds all lanes free: the other's transaction has not ended."""
    divide(database, 3)
    found: dict[int, list[Lease]] = {}

    def acquire(number: int) -> Callable[[Any], None]:
        def run(connection: Any) -> None:
            found[number] = lanes.acquire(
                connection, f"of {number}", ["ops"], most=9, shards=number
            )

        return run

    write_while(database, acquire(3), acquire(1))
    assert (len(found[1]), len(found[3])) == (1, 2)
    with database.write() as connection:
        assert lanes.renew(connection, found[3]) == set()
        assert lanes.renew(connection, found[1]) == {"ops"}
