"""Group commit: items of many threads in one transaction, each caller gets its own outcome once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from hub.core.inbound.group_commit import GroupCommit
from tests.running import until


class Desk:
    """Work function that doubles numbers, can be suspended, and records the groups it got."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.fail: Callable[[Sequence[int]], BaseException | None] = lambda _: None
        self.may_go_on = Event()
        self.may_go_on.set()
        self._alone = Lock()

    def work(self, items: Sequence[int]) -> list[int]:
        assert self._alone.acquire(blocking=False), "two groups at once"
        try:
            self.groups.append(list(items))
            assert self.may_go_on.wait(20)
            if error := self.fail(items):
                raise error
            return [2 * item for item in items]
        finally:
            self._alone.release()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def held_up(
    desk: Desk,
    grouping: GroupCommit[int, int],
    pool: ThreadPoolExecutor,
    items: Sequence[int],
    sizes: Sequence[int] = (),
) -> list["Future[int]"]:
    """Suspend the work on the first item while the others queue up in order; then resume."""
    desk.may_go_on.clear()
    calls = []
    for place, item in enumerate(items):
        size = sizes[place] if sizes else 1
        calls.append(pool.submit(grouping, item, size=size))
        until(lambda n=place: bool(desk.groups) and grouping.waiting == n, 10, "its place")
    desk.may_go_on.set()
    return calls


def test_who_comes_alone_is_served_at_once(desk) -> None:
    grouping = GroupCommit(desk.work, most=8, most_size=100, patience_s=60)
    assert [grouping(n, size=1) for n in (1, 2)] == [2, 4]
    assert desk.groups == [[1], [2]]


def test_what_comes_meanwhile_is_the_next_group(desk, pool) -> None:
    grouping = GroupCommit(desk.work, most=8, most_size=100, patience_s=60)
    calls = held_up(desk, grouping, pool, [1, 2, 3, 4])
    assert [call.result(10) for call in calls] == [2, 4, 6, 8]
    assert desk.groups == [[1], [2, 3, 4]]


def test_a_group_has_bounds_and_what_is_too_large_for_it_goes_alone(desk, pool) -> None:
    grouping = GroupCommit(desk.work, most=3, most_size=10, patience_s=60)
    sizes = [1, 1, 1, 1, 1, 50, 4, 6, 1]
    calls = held_up(desk, grouping, pool, range(9), sizes)
    assert [call.result(10) for call in calls] == [2 * n for n in range(9)]
    assert desk.groups == [[0], [1, 2, 3], [4], [5], [6, 7], [8]]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_a_failure_reaches_its_whole_group_and_no_other(desk, pool, error) -> None:
    grouping = GroupCommit(desk.work, most=2, most_size=100, patience_s=60)
    desk.fail = lambda items: error if 2 in items else None
    calls = held_up(desk, grouping, pool, [1, 2, 3, 4, 5])
    assert [call.result(10) for call in calls if call not in calls[1:3]] == [2, 8, 10]
    for call in calls[1:3]:
        assert isinstance(call.exception(10), type(error))
    assert grouping(6, size=1) == 12


def test_under_load_everybody_gets_their_own(desk, pool) -> None:
    grouping = GroupCommit(desk.work, most=5, most_size=100, patience_s=60)
    calls = [pool.submit(grouping, n, size=1) for n in range(3000)]
    assert [call.result(20) for call in calls] == [2 * n for n in range(3000)]
    assert sorted(n for group in desk.groups for n in group) == list(range(3000))
    assert max(map(len, desk.groups)) <= 5


def test_nobody_waits_for_long_behind_a_group_that_hangs(pool) -> None:
    hangs, served = Event(), []

    def work(items: Sequence[int]) -> list[int]:
        if 1 in items:
            assert hangs.wait(20)
        served.append(list(items))
        return [2 * item for item in items]

    grouping = GroupCommit(work, most=8, most_size=100, patience_s=0.05)
    first = pool.submit(grouping, 1, size=1)
    until(lambda: grouping.is_busy, 10, "the first")
    assert [call.result(10) for call in [pool.submit(grouping, n, size=1) for n in (2, 3)]] == [
        4,
        6,
    ]
    assert (grouping.waiting, first.done()) == (0, False)
    hangs.set()
    assert first.result(10) == 2
    assert sorted(served) == [[1], [2], [3]]
    assert grouping(4, size=1) == 8
