"""Group commit: one write and one commit serve the items of many threads.

Items that arrive while one group is written form the next group. No caller waits for others to
join: a single item is written alone, at once. Under load one write, one commit and one wait serve
many callers. Nor does a caller wait long behind a write that hangs: after a while each caller
writes alone, as if there were no groups.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Waiter(Generic[Item, Outcome]):
    """Queue entry of one caller. `turn` is locked until the entry has its outcome, or leads."""

    __slots__ = ("error", "item", "leads", "outcome", "size", "turn")

    def __init__(self, item: Item, size: int) -> None:
        self.item = item
        self.size = size
        self.turn = Lock()
        self.leads = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class GroupCommit(Generic[Item, Outcome]):
    """Group commit: calls `work` with the items of all waiting threads, one group at a time.

    `work` returns an outcome for each item, in order; an exception that it raises is raised in
    every caller of the group. A group has at most `most` items, and a total size of at most
    `most_size` unless it is a single item. A caller that has waited `patience_s` behind another
    group calls `work` alone, in parallel.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Outcome]],
        *,
        most: int,
        most_size: int,
        patience_s: float,
    ) -> None:
        self._work = work
        self._patience_s = patience_s
        self._most = most
        self._most_size = most_size
        self._lock = Lock()
        self._waiting: deque[_Waiter[Item, Outcome]] = deque()
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Return whether a group is being written."""
        return self._is_busy

    @property
    def waiting(self) -> int:
        """Return the number of callers that wait for the next group."""
        return len(self._waiting)

    def __call__(self, item: Item, *, size: int) -> Outcome:
        """Return the outcome of one item, written in a group with other waiting items."""
        place = _Waiter[Item, Outcome](item, size)
        with self._lock:
            if self._is_busy:
                place.turn.acquire()
                self._waiting.append(place)
            else:
                self._is_busy = place.leads = True
        if not place.leads and not place.turn.acquire(timeout=self._patience_s):
            if self._leave(place):
                return self._work([item])[0]
            # Its group is being written already: wait for that.
            place.turn.acquire()
        if place.leads:
            self._lead(place)
        if place.error is not None:
            raise place.error
        return place.outcome  # type: ignore[return-value]

    def _lead(self, first: _Waiter[Item, Outcome]) -> None:
        group = [first]
        try:
            self._gather(group)
            outcomes = self._work([place.item for place in group])
            for place, outcome in zip(group, outcomes, strict=True):
                place.outcome = outcome
        except BaseException as error:  # noqa: BLE001 - every waiting caller must get the error
            for place in group:
                place.error = error
        finally:
            self._hand_on()
            for place in group[1:]:
                place.turn.release()

    def _gather(self, group: list[_Waiter[Item, Outcome]]) -> None:
        size = group[0].size
        with self._lock:
            while self._waiting and len(group) < self._most:
                size += self._waiting[0].size
                if size > self._most_size:
                    break
                group.append(self._waiting.popleft())

    def _leave(self, place: _Waiter[Item, Outcome]) -> bool:
        """Remove an entry from the queue; return whether it was still there."""
        with self._lock:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

    def _hand_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_busy = False
                return
            following = self._waiting.popleft()
            following.leads = True
        following.turn.release()
