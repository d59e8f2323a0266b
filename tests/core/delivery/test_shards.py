"""Shards: shares that add up, rows of their own, and pauses and blocks of the whole destination."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub.core.configuration import Destination, Rate
from hub.core.delivery import lanes, pauses, shards
from hub.core.delivery.lane_rows import TOKENS, lane_name
from hub.core.models import Alert, Delivery, Lane
from hub.core.monitoring.heartbeats import alert_unserved
from hub.core.monitoring.metrics import read_metrics
from hub.core.queries.destinations import destination_statuses
from tests.core.making import NOW, one_delivery, rows


def ops(number: int, **limits: object) -> Destination:
    return Destination("ops", "http", {}, shards=number, **limits)


@given(number=st.integers(1, 64), concurrency=st.integers(1, 256), count=st.integers(1, 5000))
def test_the_shares_add_up_and_nobody_has_none(number: int, concurrency: int, count: int) -> None:
    number = min(number, concurrency, count)
    one = ops(number, concurrency=concurrency, rate=Rate(count, 10))
    slots = [shards.slots_of(one, shard) for shard in range(number)]
    rates = [shards.rate_of(one, shard) for shard in range(number)]
    assert (sum(slots), sum(rate.count for rate in rates)) == (concurrency, count)
    assert {rate.per_s for rate in rates} == {10}
    assert min(slots) >= 1
    assert max(slots) - min(slots) <= 1
    assert shards.rate_of(ops(number), 0) is None


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        lanes.ensure(connection, ["ops"])
        shards.ensure_shards(connection, [ops(3)])
        yield connection


def take(connection, holder: str, number: int = 3, most: int = 9, among=None) -> list[lanes.Lease]:
    leases = lanes.acquire(connection, holder, ["ops"], most=most, shards=number, among=among)
    return sorted(leases, key=lambda lease: lease.shard)  # the database returns them in any order


def take_to_settle(connection, holder: str, number: int) -> list[int]:
    leases = take(connection, holder, number)
    assert all(lease.to_settle for lease in leases)
    for lease in leases:
        lanes.release(connection, lease)
    return [lease.shard for lease in leases]


def expire(connection, *shards: int) -> None:
    connection.execute(
        update(Lane).where(Lane.shard.in_(shards)).values(lease_until=lanes.database_later(-1))
    )


def states(connection) -> list[shards.ShardState]:
    return list(shards.shard_states(connection, ["ops"])["ops"])


def lane_rows(connection) -> list:
    return rows(connection, Lane, Lane.destination, Lane.shard)


def test_each_shard_has_one_holder_and_tokens_of_its_own(connection) -> None:
    [first] = take(connection, "a", most=1)
    second, third = take(connection, "b")
    assert [one.shard for one in (first, second, third)] == [0, 1, 2]
    assert [one.token for one in (first, second, third)] == [1, TOKENS + 1, 2 * TOKENS + 1]
    assert [one.name for one in (first, third)] == ["ops", "ops/2"]
    assert take(connection, "c") == []
    assert lanes.renew(connection, [second, third]) == {"ops/1", "ops/2"}
    lanes.release(connection, second)
    assert [one.token for one in take(connection, "c")] == [TOKENS + 2]


def test_rows_are_made_once_and_stay_when_the_number_shrinks(connection) -> None:
    [lease] = take(connection, "a", among=[2])
    shards.ensure_shards(connection, [ops(2)])
    shards.ensure_shards(connection, [ops(3)])
    assert [row.token for row in lane_rows(connection)] == [0, TOKENS, lease.token]


def test_a_new_row_has_tokens_that_nobody_had(connection) -> None:
    [lease] = take(connection, "a", most=1)
    shards.ensure_shards(connection, [ops(5)])
    assert lane_rows(connection)[4].token == 4 * TOKENS + lease.token


def test_the_longer_block_and_the_more_setbacks_stay(connection) -> None:
    one, two, three = take(connection, "a")
    pauses.block(connection, one, for_s=3600, reason="asked to wait", setbacks=0)
    pauses.block(connection, two, for_s=30, reason="refused us", setbacks=2)
    pauses.block(connection, three, for_s=1, reason="asked to wait a moment", setbacks=0)
    first = lane_rows(connection)[0]
    assert (first.blocked_reason, first.setbacks) == ("asked to wait", 2)
    in_half_an_hour = lanes.database_later(1800)
    assert connection.scalar(select(Lane.blocked_until > in_half_an_hour).where(Lane.shard == 0))
    # Its probe has ended well before: the block is a newer one.
    pauses.recover(connection, one)
    assert lane_rows(connection)[0].setbacks == 2


def test_shard_0_alone_lowers_the_setbacks(connection) -> None:
    """The other's call began before the destination failed: it says nothing of the probes since."""
    first, other, _ = take(connection, "a")
    ended = {"setbacks": 5, "blocked_until": lanes.database_later(-1)}
    connection.execute(update(Lane).where(Lane.shard == 0).values(ended))
    pauses.block(connection, other, for_s=-1, reason="refused us", setbacks=1)
    assert lane_rows(connection)[0].setbacks == 5
    pauses.block(connection, first, for_s=-1, reason="refused us", setbacks=1)
    assert lane_rows(connection)[0].setbacks == 1


def test_lanes_that_rest_after_they_were_given_are_not_asked_for_again() -> None:
    states = [shards.ShardState("ops", shard, "rich", shard > 1, None, 0) for shard in range(4)]
    assert shards.shards_to_ask_for(states, "asker") == []


def test_a_block_that_has_ended_leaves_nothing_to_the_next_one(connection) -> None:
    [lease] = take(connection, "a", most=1)
    pauses.block(connection, lease, for_s=-1, reason="refused us", setbacks=3)
    pauses.block(connection, lease, for_s=30, reason="asked to wait", setbacks=0)
    first = lane_rows(connection)[0]
    assert (first.blocked_reason, first.setbacks) == ("asked to wait", 0)


def test_a_pause_and_a_block_stop_all_shards_at_once(connection) -> None:
    leases = take(connection, "a")
    pauses.mark_paused(connection, "ops", paused=True)
    assert lanes.workable(connection, leases) == set()
    pauses.mark_paused(connection, "ops", paused=False)
    assert lanes.workable(connection, leases[2:]) == {"ops"}
    pauses.block(connection, leases[1], for_s=60, reason="refused us", setbacks=1)
    assert [lanes.workable(connection, [lease]) for lease in leases] == [set()] * 3
    for lease in leases:
        lanes.release(connection, lease)
    assert take(connection, "b") == []
    pauses.mark_paused(connection, "ops", paused=False)
    assert len(take(connection, "b")) == 1


def test_after_a_setback_shard_0_probes_and_its_success_frees_the_others(connection) -> None:
    leases = take(connection, "a")
    pauses.block(connection, leases[2], for_s=60, reason="down", setbacks=1)
    for lease in leases:
        lanes.release(connection, lease)
    connection.execute(update(Lane).values(blocked_until=lanes.database_later(-1)))
    [probe] = take(connection, "b")
    assert (probe.shard, probe.setbacks) == (0, 1)
    pauses.recover(connection, probe)
    assert [(one.shard, one.setbacks) for one in take(connection, "c")] == [(1, 0), (2, 0)]


def test_whoever_lost_a_shard_blocks_nothing(connection) -> None:
    [old] = take(connection, "a", among=[1])
    connection.execute(update(Lane).values(lease_until=lanes.database_later(-1)))
    take(connection, "b")
    pauses.block(connection, old, for_s=60, reason="me", setbacks=3)
    assert {row.blocked_reason for row in lane_rows(connection)} == {None}


def test_calls_of_a_dead_holder_are_found_in_its_own_shard_alone(connection) -> None:
    take(connection, "a")
    one_delivery(connection, state="running", lane_token=TOKENS + 1)
    connection.execute(update(Lane).values(lease_until=lanes.database_later(-1)))
    assert [one.shard for one in take(connection, "b")] == [1]
    assert lanes.with_due_work(connection) == set()


def test_a_shard_that_hub_yaml_has_no_more_is_leased_for_open_calls_alone(connection) -> None:
    [lease] = take(connection, "a", among=[2])
    lanes.release(connection, lease)
    [mine] = take(connection, "b", number=1)
    assert (mine.shard, mine.to_settle) == (0, False)
    lanes.release(connection, mine)
    one_delivery(connection, state="running", lane_token=2 * TOKENS + 1)
    assert lanes.with_due_work(connection) == {"ops"}
    assert take_to_settle(connection, "b", number=1) == [2]


def test_two_numbers_of_shards_never_work_at_once(connection) -> None:
    """Their shares would add up to more than the destination's limits."""
    old = take(connection, "old", number=3, among=[1])
    assert take(connection, "new", number=1) == []
    assert lanes.hold_elsewhere(connection, "new", "ops") is lanes.Hold.WORKS
    assert len(take(connection, "another", number=3)) == 2
    expire(connection, 0, 2)
    lanes.release(connection, old[0])
    assert take_to_settle(connection, "new", number=1) == [0, 2]
    [new] = take(connection, "new", number=1)
    assert new.shard == 0
    assert take(connection, "old", number=3) == []


@pytest.mark.parametrize(("before", "now"), [(3, 2), (2, 3), (3, 1), (1, 3)])
def test_who_was_late_may_not_renew_beside_another_number_of_shards(
    connection, before: int, now: int
) -> None:
    """Nor claim: the lane is taken from it before one is divided by the other number."""
    late = take(connection, "late", number=before)
    expire(connection, 0, 1, 2)
    taken = take_to_settle(connection, "new", number=now)
    assert taken == [lease.shard for lease in late]
    assert lanes.renew(connection, late) == set()
    assert lanes.workable(connection, late) == set()
    assert len(take(connection, "new", number=now)) == now


def test_a_lane_is_elsewhere_when_no_shard_is_left(connection) -> None:
    held = lambda holder: lanes.hold_elsewhere(connection, holder, "ops", shards=3)  # noqa: E731
    leases = take(connection, "a", most=2)
    assert held("b") is lanes.Hold.NONE
    leases += take(connection, "a")
    assert held("b") is lanes.Hold.WORKS
    assert held("a") is lanes.Hold.NONE
    lanes.release(connection, leases[0], linger_s=60)
    assert held("b") is lanes.Hold.RESTS


def test_who_has_less_asks_for_half_of_the_difference_and_nobody_gives_the_last(connection) -> None:
    take(connection, "a")
    wanted = shards.shards_to_ask_for(states(connection), "b")
    assert [one.name for one in wanted] == ["ops/2"]
    shards.ask_for(connection, wanted, "b")
    assert shards.shards_to_ask_for(states(connection), "b") == []
    assert [one.shard for one in shards.shards_to_give(states(connection), "a")] == [2]
    assert shards.shards_to_give(states(connection), "b") == []
    assert take(connection, "b", among=[2]) == [], "it is not free yet"
    connection.execute(update(Lane).values(wanted_by="b"))
    assert len(shards.shards_to_give(states(connection), "a")) == 2


def test_who_has_as_many_or_one_less_asks_for_none(connection) -> None:
    take(connection, "a", most=2)
    assert shards.shards_to_ask_for(states(connection), "b") == [], "one is free"
    take(connection, "b")
    assert shards.shards_to_ask_for(states(connection), "b") == []
    assert shards.shards_to_ask_for(states(connection), "a") == []


def test_without_due_work_nobody_is_asked(connection) -> None:
    take(connection, "a")
    connection.execute(update(Delivery).values(next_attempt_at=lanes.database_later(60)))
    shards.ask_for(connection, shards.shards_to_ask_for(states(connection), "b"), "b")
    assert {one.wanted_by for one in states(connection)} == {None}


def test_a_released_shard_is_wanted_by_nobody_and_rests_for_its_last_holder(connection) -> None:
    leases = take(connection, "a")
    shards.ask_for(connection, shards.shards_to_ask_for(states(connection), "b"), "b")
    lanes.release(connection, leases[2], linger_s=60)
    last = states(connection)[2]
    assert (last.holder, last.rests, last.wanted_by) == ("a", True, None)
    assert shards.free_shards(states(connection), "a") == [2]
    assert shards.free_shards(states(connection), "b") == []
    lanes.release(connection, leases[0])
    assert shards.free_shards(states(connection), "b") == [0]


def test_pages_metrics_and_alerts_see_one_lane_for_each_destination(connection, town) -> None:
    configuration = town.configuration
    make_late = {"next_attempt_at": lanes.database_later(-200)}
    connection.execute(update(Delivery).values(**make_late))
    take(connection, "a", among=[1])
    assert [one.destination for one in read_metrics(connection).lanes] == ["ops"]
    [status] = destination_statuses(connection, configuration)
    assert status.is_held
    alert_unserved(connection, configuration, (), now=NOW)
    assert not alerts_of(connection)
    connection.execute(update(Lane).values(lease_until=None, holder=None))
    alert_unserved(connection, configuration, (), now=NOW)
    assert len(alerts_of(connection)) == 1


def alerts_of(connection) -> list:
    return rows(connection, Alert)


def test_the_name_of_shard_0_is_the_destinations_own() -> None:
    assert (lane_name("ops", 0), lane_name("ops", 7)) == ("ops", "ops/7")
