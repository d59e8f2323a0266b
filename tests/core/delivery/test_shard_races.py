"""Transactions on the lanes of one destination that meet, on PostgreSQL: SQLite has one writer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import literal_column, text, update

from adapters import Effect, Outcome, Verdict
from hub.core.configuration import Destination, RetryPlan
from hub.core.delivery import claim, lanes, pauses, shards
from hub.core.delivery.lane_rows import Lease
from hub.core.delivery.record import Finished, record
from hub.core.delivery.transitions import Budget, RetryPolicy, on_result
from hub.core.models import Delivery, Lane
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
        leases = lanes.acquire(connection, holder, ["ops"], most=9, shards=number, among=among)
    return sorted(leases, key=lambda lease: lease.shard)  # the database returns them in any order


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

    def look(connection: Any) -> None:
        seen.append(lanes.workable(connection, [lease]))

    pause = lambda connection: pauses.mark_paused(connection, "ops", paused=True)  # noqa: E731
    write_while(database, pause, look)
    with database.write() as connection:
        pauses.mark_paused(connection, "ops", paused=False)
        look(connection)
    write_while(database, look, pause)
    assert seen == [{"ops"}, {"ops"}, set()]


def test_asking_for_a_lane_waits_for_a_claim_there(database) -> None:
    divide(database, 2)
    rich = take(database, "rich", 2)
    with database.read() as connection:
        states = shards.shard_states(connection, ["ops"])["ops"]
    wanted = shards.shards_to_ask_for(states, "asker")
    write_while(
        database,
        lambda connection: shards.ask_for(connection, wanted, "asker"),
        lambda connection: lanes.workable(connection, rich),
    )
    assert [row.wanted_by for row in lane_rows(database)] == [None, "asker"]


# A statement that this is a part of waits for the gate after it has taken its snapshot.
GATE = literal_column("(pg_advisory_xact_lock_shared(7)::text = '')")


def write_late(database: Database, write: Callable[[Any], Any], other: Callable[[], Any]) -> Any:
    """Run `write`, whose statement has the gate; run `other` once it waits there."""

    def run() -> Any:
        with database.write() as connection:
            return write(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as gate:
            gate.execute(text("SELECT pg_advisory_xact_lock(7)"))
            running = pool.submit(run)
            until_somebody_waits(database, or_has_ended=running)
            other()
        return running.result(10)


def test_whoever_leases_shard_0_keeps_the_setbacks_of_a_block_made_meanwhile(
    database, monkeypatch
) -> None:
    divide(database, 2)
    [other] = take(database, "other", 2, among=[1])
    monkeypatch.setattr(lanes, "HAS_DUE", lanes.HAS_DUE & GATE)

    def refused() -> None:
        with database.write() as connection:
            block(other)(connection)

    [lease] = write_late(
        database,
        lambda connection: lanes.acquire(connection, "a", ["ops"], most=1, shards=2, among=[0]),
        refused,
    )
    assert (lease.setbacks, lane_rows(database)[0].setbacks) == (1, 1)


def test_a_delivery_that_was_called_meanwhile_is_not_claimed_without_its_attempt(
    database, town, monkeypatch
) -> None:
    """Its key and its parameters are those of that attempt."""
    divide(database, 2)
    one, two = take(database, "a", 2)
    monkeypatch.setattr(claim, "DUE", claim.DUE.where(GATE))

    def call() -> None:
        with database.write() as connection:
            monkeypatch.undo()
            [claimed] = town.claim(connection, one)
            again = on_result(
                Outcome(Verdict.NOT_PROCESSED, "busy", status=503),
                RetryPolicy(Effect.AT_MOST_ONCE, RetryPlan()),
                Budget(claimed.tries, 0),
                chance=0.5,
            )
            record(connection, [ended_call(claimed, one, again)])
            connection.execute(update(Delivery).values(next_attempt_at=lanes.database_later(-60)))

    assert write_late(database, lambda connection: town.claim(connection, two), call) == []
    with database.write() as connection:
        [claimed] = town.claim(connection, two)
    assert claimed.n == 2


def ended_call(claimed: Any, lease: Lease, transition: Any) -> Finished:
    return Finished(
        claimed.delivery_id,
        claimed.attempt_id,
        lease.token,
        Outcome(Verdict.NOT_PROCESSED, "busy", status=503),
        transition,
        once=True,
    )


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
