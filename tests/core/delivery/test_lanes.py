"""Lanes: one holder at a time by the database's clock, with fencing against earlier holders."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import update

from hub.core.delivery import lanes, pauses
from hub.core.errors import NotFound
from hub.core.models import Delivery, Lane
from hub.gateways.database.engine import open_database
from tests.core.making import Town, end_lease, lease_of, one_delivery, route, rows

MANY = [f"d{n}" for n in range(8)]


def lane(connection, destination: str = "ops"):
    return next(row for row in rows(connection, Lane, Lane.destination)
                if row.destination == destination)  # fmt: skip


def take(connection, holder: str = "other") -> list[lanes.Lease]:
    return lanes.acquire(connection, holder, ["ops"], most=9)


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, ["ops"])
        yield connection


def test_a_lane_with_due_work_is_taken_once(connection) -> None:
    [lease] = take(connection, "me")
    assert (lease.destination, lease.token, lease.setbacks) == ("ops", 1, 0)
    assert lane(connection).holder == "me"
    assert take(connection) == []


def test_a_lane_without_due_work_is_left_alone(connection) -> None:
    one_delivery(connection, state="succeeded")
    assert take(connection) == []


def test_a_lane_whose_work_is_not_due_yet_is_left_alone(connection) -> None:
    connection.execute(update(Delivery).values(next_attempt_at=lanes.database_later(60)))
    assert take(connection) == []


def test_a_lane_with_calls_of_a_holder_that_died_is_taken(connection) -> None:
    one_delivery(connection, state="running")
    assert len(take(connection)) == 1


def test_only_lanes_that_were_asked_for_are_taken_and_no_more_than_wanted(database) -> None:
    town = Town(routes=[route(name, destination=name) for name in MANY])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, MANY)
        assert len(lanes.acquire(connection, "me", MANY[:4], most=3)) == 3
        assert len(lanes.acquire(connection, "me", MANY[:4], most=3)) == 1


def test_giving_a_lane_its_row_twice_changes_nothing(connection) -> None:
    [lease] = take(connection)
    lanes.ensure(connection, ["ops", "new"])
    lanes.ensure(connection, [])
    assert lane(connection).token == lease.token
    assert lane(connection, "new").token == 0


def test_a_lane_is_taken_over_when_its_lease_has_ended_and_never_before(connection) -> None:
    [first] = take(connection, "first")
    connection.execute(update(Lane).values(lease_until=lanes.database_later(0.2)))
    assert take(connection) == []
    end_lease(connection)
    [second] = take(connection, "second")
    assert second.token > first.token


def test_renewing_makes_a_lease_last_again(connection) -> None:
    [lease] = take(connection)
    end_lease(connection)
    assert lanes.renew(connection, [lease]) == {"ops"}
    assert take(connection) == []


def test_whoever_lost_a_lane_renews_releases_blocks_and_recovers_nothing(connection) -> None:
    [old] = take(connection, "old")
    end_lease(connection)
    [new] = take(connection, "new")
    assert lanes.renew(connection, [old]) == set()
    assert lanes.workable(connection, [old]) == set()
    lanes.release(connection, old)
    pauses.block(connection, old, for_s=60, reason="me", setbacks=3)
    pauses.recover(connection, old)
    row = lane(connection)
    assert (row.holder, row.token, row.blocked_until) == ("new", new.token, None)
    assert lanes.workable(connection, [new]) == {"ops"}


def test_a_released_lane_is_free_at_once_and_its_token_still_grows(connection) -> None:
    [first] = take(connection)
    lanes.release(connection, first)
    [second] = take(connection)
    assert second.token == first.token + 1


def test_a_blocked_lane_rests_until_its_time_and_remembers_its_setbacks(connection) -> None:
    [lease] = take(connection)
    pauses.block(connection, lease, for_s=60, reason="refused us " * 100, setbacks=2)
    assert lanes.workable(connection, [lease]) == set()
    lanes.release(connection, lease)
    assert take(connection) == []
    assert len(lane(connection).blocked_reason) == 500
    connection.execute(update(Lane).values(blocked_until=lanes.database_later(-0.1)))
    [again] = take(connection)
    assert again.setbacks == 2
    pauses.recover(connection, again)
    row = lane(connection)
    assert (row.setbacks, row.blocked_until, row.blocked_reason) == (0, None, None)


def test_a_paused_lane_is_neither_taken_nor_worked_in_until_it_is_resumed(connection) -> None:
    [lease] = take(connection)
    pauses.mark_paused(connection, "ops", paused=True)
    assert lanes.workable(connection, [lease]) == set()
    assert lanes.renew(connection, [lease]) == {"ops"}, "calls under way still have to be recorded"
    lanes.release(connection, lease)
    assert take(connection) == []
    pauses.mark_paused(connection, "ops", paused=False)
    assert len(take(connection)) == 1


def test_resuming_lifts_a_block_too(connection) -> None:
    [lease] = take(connection)
    pauses.block(connection, lease, for_s=600, reason="refused us", setbacks=1)
    pauses.mark_paused(connection, "ops", paused=False)
    assert lanes.workable(connection, [lease]) == {"ops"}


def test_pausing_what_has_no_lane_says_so(connection) -> None:
    with pytest.raises(NotFound, match="no destination nope"):
        pauses.mark_paused(connection, "nope", paused=True)


def test_of_many_who_race_for_the_same_lanes_each_lane_has_one_holder(database) -> None:
    town = Town(routes=[route(name, destination=name) for name in MANY])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, MANY)
    for round_ in range(5):
        barrier = Barrier(4)

        def race(n: int, barrier: Barrier = barrier) -> list[lanes.Lease]:
            barrier.wait()
            with database.write() as connection:
                return lanes.acquire(connection, f"holder {n}", MANY, most=8)

        with ThreadPoolExecutor(4) as pool:
            leases = [lease for taken in pool.map(race, range(4)) for lease in taken]
        assert sorted(lease.destination for lease in leases) == MANY
        assert {lease.token for lease in leases} == {round_ + 1}
        with database.write() as connection:
            for lease in leases:
                lanes.release(connection, lease)


# SQLite has one writer at a time anyway.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lane_that_is_being_worked_in_cannot_be_paused_in_between(database, town) -> None:
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lease = lease_of(connection)
    with database.write() as working:
        assert lanes.workable(working, [lease]) == {"ops"}
        with ThreadPoolExecutor(1) as pool:

            def pause() -> None:
                with database.write() as connection:
                    pauses.mark_paused(connection, "ops", paused=True)

            pausing = pool.submit(pause)
            assert not pausing.done()
            working.commit()
            pausing.result(5)


def test_no_plan_takes_more_lanes_than_wanted(postgresql_url) -> None:
    """A nested loop reruns a sub-query for each row, and SKIP LOCKED then finds other rows."""
    database = open_database(postgresql_url)
    town = Town(routes=[route(name, destination=name) for name in MANY])
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, MANY)
        for switch in "hashjoin mergejoin hashagg material sort indexscan bitmapscan".split():
            connection.exec_driver_sql(f"SET LOCAL enable_{switch} = off")
        assert len(lanes.acquire(connection, "me", MANY, most=3)) == 3
    database.engine.dispose()
