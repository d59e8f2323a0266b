"""Rate counters: no window exceeds its limit, exact under concurrency, pruned afterwards."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.core.leads.rate_counters import Counter, count_recent, increment, prune
from hub.core.models import LimitCount
from hub.gateways.database.engine import open_database
from tests.core.making import NOW

ONE = Counter("posts", "203.0.113.7", 60.0)
OTHER = Counter("posts", "203.0.113.8", 60.0)


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


def count(connection, watched: Counter, seconds: float = 0.0) -> int:
    return count_recent(connection, [watched], now=at(seconds))[watched]


def test_each_is_counted_for_itself(database) -> None:
    with database.write() as connection:
        increment(connection, [ONE, OTHER], now=NOW)
        increment(connection, [ONE], now=NOW)
        found = count_recent(connection, [ONE, OTHER, Counter("texts", ONE.whom, 60.0)], now=NOW)
        assert list(found.values()) == [2, 1, 0]


def test_nothing_is_counted_of_nobody(database) -> None:
    with database.write() as connection:
        increment(connection, [], now=NOW)
        assert count_recent(connection, [], now=NOW) == {}


def test_the_same_twice_in_one_go_counts_once(database) -> None:
    with database.write() as connection:
        increment(connection, [ONE, ONE], now=NOW)
        assert count(connection, ONE) == 1


PARALLEL = 50


@pytest.mark.parametrize("apart_s", [0.0, 6.0], ids=["one slot", "two slots"])
def test_many_at_once_lose_no_count_and_no_two_of_them_see_the_same(
    database_url, apart_s: float
) -> None:
    database = open_database(database_url, pool_size=PARALLEL)

    def post(n: int) -> int:
        seconds = apart_s * (n % 2)
        with database.write() as connection:
            increment(connection, [ONE, OTHER], now=at(seconds))
            return count(connection, ONE, seconds)

    with ThreadPoolExecutor(PARALLEL) as pool:
        seen = list(pool.map(post, range(PARALLEL)))
    database.engine.dispose()
    assert sorted(seen) == list(range(1, PARALLEL + 1))


def test_neither_an_address_nor_a_text_is_kept(database) -> None:
    with database.write() as connection:
        increment(connection, [ONE], now=NOW)
        [row] = connection.execute(select(LimitCount.__table__))
    assert len(row.key) == 16
    assert ONE.whom not in repr(row)


def test_what_is_in_no_window_any_more_is_forgotten_and_nothing_else(database) -> None:
    with database.write() as connection:
        increment(connection, [ONE], now=NOW)
        increment(connection, [ONE], now=at(60))
        assert prune(connection, now=at(59)) == 0
        assert prune(connection, now=at(70)) == 1
        assert count(connection, ONE, 70) == 1


class Memory:
    """Model of a counter: the tables as a dictionary, without SQL."""

    def __init__(self, watched: Counter) -> None:
        self.watched = watched
        self.slots: dict = {}

    def admit(self, now, most: int) -> bool:
        oldest = self.watched.oldest(now)
        if sum(n for slot, n in self.slots.items() if slot > oldest) >= most:
            return False
        slot = self.watched.slot_at(now)
        self.slots[slot] = self.slots.get(slot, 0) + 1
        return True


PER_S = st.sampled_from([1.0, 7.0, 60.0, 3600.0, 86400.0])
STEPS = st.lists(st.floats(0, 1.2), min_size=1, max_size=60)


@given(per_s=PER_S, most=st.integers(1, 5), steps=STEPS)
def test_no_window_of_that_length_ever_holds_more_than_is_admitted(per_s, most, steps) -> None:
    memory, now, admitted = Memory(Counter("a", "b", per_s)), NOW, []
    for step in steps:
        now += timedelta(seconds=step * per_s / most)
        if memory.admit(now, most):
            admitted.append(now)
    for first in admitted:
        within = [one for one in admitted if first <= one < first + timedelta(seconds=per_s)]
        assert len(within) <= most


@given(per_s=PER_S, offset=st.floats(0, 1e6))
def test_a_slot_is_remembered_for_a_tenth_longer_than_asked_and_no_longer(per_s, offset) -> None:
    watched = Counter("a", "b", per_s)
    now = NOW + timedelta(seconds=offset)
    slot = watched.slot_at(now)
    tenth = timedelta(seconds=per_s) / 10
    assert slot <= now < slot + tenth
    assert slot > watched.oldest(now + timedelta(seconds=per_s) - timedelta(microseconds=1))
    assert slot <= watched.oldest(watched.ends_at(slot))
    assert watched.ends_at(slot) <= now + timedelta(seconds=per_s) + tenth


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.floats(0, 40), min_size=1, max_size=12))
def test_sql_counts_as_the_memory_of_the_test_does(database, steps) -> None:
    memory, seconds = Memory(ONE), 0.0
    with database.write() as connection:
        prune(connection, now=at(1e9))
        for step in steps:
            seconds += step
            admitted = memory.admit(at(seconds), 3)
            assert admitted is (count(connection, ONE, seconds) < 3)
            if admitted:
                increment(connection, [ONE], now=at(seconds))
